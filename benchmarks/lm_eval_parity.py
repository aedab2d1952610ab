"""The same numbers as lm-eval 0.4.13? Both score the same documents with the same model, in float32, in one run.

    HOMEGROWN_DATA=FOLDER python benchmarks/lm_eval_parity.py MODEL --lm-eval PYTHON [--samples 200] [--endpoint]

PYTHON is that of an environment with lm-eval 0.4.13 and its extras [hf,api]. MODEL is scored from its folder, and with
--endpoint also through a vLLM that serves it. Prints every figure of both with their difference, and the largest
difference of the log-likelihoods behind them; exit code 1 if a figure differs by more than 1e-4 (relative for
perplexities) or a log-likelihood by more than 1e-4 and 1e-5 of itself.

Where we differ on purpose, and these data do not reach: log-probabilities that are not finite are errors (lm-eval takes
the first option for right); a tie between options is not right (lm-eval takes the first); MC2 goes by log-sum-exp
(lm-eval divides 0 by 0 when all options are very unlikely); an option without tokens, or with more than the model
reads, is one error (lm-eval's hf backend stops); over an endpoint special tokens are added as from a folder (lm-eval
adds none there unless told to). Over an endpoint the window is shorter than from a folder, by the token that the server
must be able to add; lm-eval's is the same when it is told the server's own max_model_len.

Sentences of BLiMP are scored with the blank that lm-eval puts before them; the project's own minimal pairs are not.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.shared_context import ask_lm_eval  # noqa: E402
from eval.data import Inputs  # noqa: E402
from eval.records import Record  # noqa: E402
from eval.replies import Reply  # noqa: E402
from eval.requests import Request  # noqa: E402
from eval.task import Task, sampled  # noqa: E402
from eval.tasks import language, truthfulqa  # noqa: E402

TOLERANCE = 1e-4
"""Of a figure; of a perplexity, relative."""
RELATIVE = 1e-5
"""Of a log-likelihood: float32 has seven digits, and each side adds up in its own order."""
ARC = next(task for task in language.TASKS if task.name == "arc_easy")
BATCH = 16
PREAMBLE = "Q: What do cows drink?\nA: Cows drink water.\n\nQ: How many legs has a spider?\nA: A spider has eight legs."
"""Put before every question of TruthfulQA, so that a long shared beginning is compared too."""
ACCURACY = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
ROLLING = {
    "output_type": "loglikelihood_rolling",
    "test_split": "test",
    "doc_to_text": "",
    "doc_to_target": "{{text}}",
    "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
}
ONLY_TEST = {"training_split": None, "validation_split": None, "fewshot_split": None}
TRUTHFUL = {"doc_to_text": "{{preamble}}\n\nQ: {{question}}\nA:", "metric_list": ACCURACY}
Figures = dict[str, float]


class Found(NamedTuple):
    """What one harness found."""

    figures: Figures
    logprobs: dict[str, list[list[float]]]
    """Data set -> sample -> option, in nats."""


def main() -> None:
    """Score, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--lm-eval", required=True, help="a Python with lm-eval 0.4.13")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--endpoint", action="store_true", help="also through a vLLM")
    arguments = parser.parse_args()
    folder = str(Path(arguments.model).resolve())
    samples = documents(arguments.samples)
    theirs = ask_lm_eval(arguments.lm_eval, wanted("hf", {"pretrained": folder, "dtype": "float32"}, samples))
    fits = compare("from the folder", from_folder(folder, samples), read_lm_eval(theirs))
    if arguments.endpoint:
        fits &= compare("over the endpoint", *over_endpoint(folder, samples, arguments.lm_eval))
    sys.exit(0 if fits else 1)


def documents(count: int) -> dict[str, list[dict]]:
    """Task -> samples; the texts have one that is longer than most windows."""
    inputs = Inputs()
    texts = list(language.PROSE.data(inputs))
    long = "\n\n".join(text["text"] for text in texts)
    questions = [row | {"preamble": PREAMBLE} for row in sampled(truthfulqa.with_options(inputs), count)]
    return {
        "texts": [*texts[:count], {"id": "long", "text": long}],
        "truthfulqa": questions,
        "blimp": sampled(list(language.BLIMP.data(inputs)), count),
        "arc": sampled(list(ARC.data(inputs)), count),
    }


def wanted(backend: str, model_args: dict, samples: dict[str, list[dict]]) -> dict:
    """The same samples as lm-eval's own tasks read them."""
    questions = [{"preamble": q["preamble"], "question": q["question"], **targets(q)} for q in samples["truthfulqa"]]
    arc = [
        {
            "question": row["question"],
            "choices": {"text": row["choices"], "label": list(range(len(row["choices"])))},
            "answerKey": row["answer"],
        }
        for row in samples["arc"]
    ]
    blimp = [{"sentence_good": row["good"], "sentence_bad": row["bad"]} for row in samples["blimp"]]
    # lm-eval's tasks of these names bring their metrics along; only where the data are is changed.
    tasks = {
        "texts": {"yaml": ROLLING, "split": "test", "rows": [{"text": row["text"]} for row in samples["texts"]]},
        "mc1": {
            "yaml": {"include": "truthfulqa/truthfulqa_mc1.yaml", **TRUTHFUL},
            "split": "validation",
            "rows": questions,
        },
        "mc2": {
            "yaml": {"include": "truthfulqa/truthfulqa_mc2.yaml", **TRUTHFUL},
            "split": "validation",
            "rows": questions,
        },
        "blimp_local": {"yaml": {"include": "blimp/_template_yaml"}, "split": "train", "rows": blimp},
        "arc_local": {"yaml": {"include": "arc/arc_easy.yaml", **ONLY_TEST}, "split": "test", "rows": arc},
    }
    return {"do": "tasks", "model": backend, "model_args": model_args, "tasks": tasks, "batch_size": BATCH}


def targets(question: dict) -> dict:
    """Options and labels of one question in the shape of lm-eval's data."""
    labelled = list(zip(question["options"], map(int, question["labels"]), strict=True))
    first = [labelled[0], *((option, true) for option, true in labelled if not true)]
    return {
        name: {"choices": [option for option, _ in rows], "labels": [true for _, true in rows]}
        for name, rows in (("mc1_targets", first), ("mc2_targets", labelled))
    }


def read_lm_eval(found: dict[str, dict]) -> Found:
    """What it found, by our names."""
    texts, arc = found["figures"]["texts"], found["figures"]["arc_local"]
    figures = {
        "bits per byte": texts["bits_per_byte,none"],
        "byte perplexity": texts["byte_perplexity,none"],
        "word perplexity": texts["word_perplexity,none"],
        "MC1": found["figures"]["mc1"]["acc,none"],
        "MC2": found["figures"]["mc2"]["acc,none"],
        "BLiMP": found["figures"]["blimp_local"]["acc,none"],
        "ARC acc": arc["acc,none"],
        "ARC acc_norm": arc["acc_norm,none"],
    }
    names = {"texts": "texts", "truthfulqa": "mc2", "blimp": "blimp_local", "arc": "arc_local"}
    return Found(figures, {ours: found["logprobs"][theirs] for ours, theirs in names.items()})


def found(samples: dict[str, list[dict]], score: Callable[[Sequence[Request]], list[Reply]]) -> Found:
    """Ours, by the suites' own tasks."""
    tasks = {"texts": language.PROSE, "truthfulqa": truthfulqa.LIKELIHOOD, "blimp": language.BLIMP, "arc": ARC}
    records = {name: scored(task, samples[name], score) for name, task in tasks.items()}
    values = {name: summary(task, records[name]) for name, task in tasks.items()}
    figures = {
        "bits per byte": values["texts"]["bits_per_byte"],
        "byte perplexity": values["texts"]["byte_perplexity"],
        "word perplexity": values["texts"]["word_perplexity"],
        "MC1": values["truthfulqa"]["mc1"],
        "MC2": values["truthfulqa"]["mc2"],
        "BLiMP": values["blimp"]["acc"],
        "ARC acc": values["arc"]["acc"],
        "ARC acc_norm": values["arc"]["acc_norm"],
    }
    return Found(figures, {name: [record.reply.logprobs for record in of] for name, of in records.items()})


def scored(task: Task, samples: list[dict], score: Callable[[Sequence[Request]], list[Reply]]) -> list[Record]:
    """A record of every sample."""
    cases = list(task.cases(samples))
    replies = score([case.request for case in cases])
    return [
        Record(*case.id, str(case.sample["id"]), "", case.sample, "ok", None, reply, task.score(case.sample, reply))
        for case, reply in zip(cases, replies, strict=True)
    ]


def summary(task: Task, records: list[Record]) -> Figures:
    """The values of the task's figures."""
    figures = [figure for section in task.figures(records) for figure in section.figures]
    return {figure.key: figure.estimate.value for figure in figures if figure.estimate}


def from_folder(folder: str, samples: dict[str, list[dict]]) -> Found:
    """In this process."""
    from eval.likelihood.folder import Folder

    scorer = Folder(Path(folder))
    return found(samples, lambda requests: list(scorer.score_all(requests)))


def over_endpoint(folder: str, samples: dict[str, list[dict]], lm_eval: str) -> tuple[Found, Found]:
    """Both through one vLLM."""
    from eval.target import Target
    from serving.text_engine import TextEngine

    with TextEngine(folder, dtype="float32") as engine:

        async def ask(requests: Sequence[Request]) -> list[Reply]:
            async with Target(lambda: engine.base_url, engine.model_name) as target:
                return await asyncio.gather(*map(target.ask, requests))

        ours = found(samples, lambda requests: asyncio.run(ask(requests)))
        arguments = {
            "model": engine.model_name,
            "base_url": f"{engine.base_url}/completions",
            "tokenizer": folder,
            "tokenizer_backend": "huggingface",
            "num_concurrent": 4,
            "max_length": longest(folder),
        }
        theirs = ask_lm_eval(lm_eval, wanted("local-completions", arguments, samples))
    return ours, read_lm_eval(theirs)


def longest(folder: str) -> int:
    """The server's max_model_len, which vLLM takes from the configuration."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder).get_text_config().max_position_embeddings


def compare(where: str, ours: Found, theirs: Found) -> bool:
    """Print what both found; whether it is the same."""
    print(f"\n{where:<20}{'homegrown':>18}{'lm-eval 0.4.13':>18}{'difference':>14}")
    agreed = [agree_on_figure(name, ours.figures[name], value) for name, value in theirs.figures.items()]
    print(f"\n{'log-likelihoods':<20}{'number':>10}{'mean':>12}{'difference':>14}{'relative':>12}{'closest':>12}")
    agreed += [agree_on_logprobs(name, ours.logprobs[name], samples) for name, samples in theirs.logprobs.items()]
    return all(agreed)


def agree_on_figure(name: str, ours: float, theirs: float) -> bool:
    """Print a line; whether the two are the same."""
    difference = abs(ours - theirs) / (theirs if "perplexity" in name else 1)
    print(f"{name:<20}{ours:18.6f}{theirs:18.6f}{difference:14.1e}")
    return difference <= TOLERANCE


def agree_on_logprobs(name: str, ours: list[list[float]], theirs: list[list[float]]) -> bool:
    """Print a line, with how close two options of a sample come; were that less than the difference, chance decides."""
    one, two = list(chain.from_iterable(ours)), list(chain.from_iterable(theirs))
    differences = [abs(a - b) for a, b in zip(one, two, strict=True)]
    relative = max(difference / -logprob for difference, logprob in zip(differences, two, strict=True))
    gaps = [high - low for options in theirs for low, high in pairwise(sorted(options))]
    closest = f"{min(gaps):12.1e}" if gaps else ""
    print(f"{name:<20}{len(two):10}{fmean(two):12.2f}{max(differences):14.1e}{relative:12.1e}{closest}")
    return all(difference <= max(TOLERANCE, RELATIVE * -p) for difference, p in zip(differences, two, strict=True))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
