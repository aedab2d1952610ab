"""The same numbers as lm-eval 0.4.13? Both score the same documents with the same model, in float32, in one run.

    HOMEGROWN_DATA=FOLDER python benchmarks/lm_eval_parity.py MODEL --lm-eval PYTHON [--samples 60] [--endpoint]

PYTHON is that of an environment with lm-eval 0.4.13 and its extras [hf,api]. MODEL is scored from its folder, and with
--endpoint also through a vLLM that serves it. Prints every figure of both with their difference; exit code 1 if one is
above 1e-4 (relative for perplexities).

Where we differ on purpose, and these data do not reach: log-probabilities that are not finite are errors (lm-eval takes
the first option for right); a tie between options is not right (lm-eval takes the first); MC2 goes by log-sum-exp
(lm-eval divides 0 by 0 when all options are very unlikely); over an endpoint special tokens are added as from a folder
(lm-eval adds none there). Over an endpoint the window is shorter than from a folder, by the token that the server must
be able to add; lm-eval's is the same when it is told the server's own max_model_len.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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


def main() -> None:
    """Score, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--lm-eval", required=True, help="a Python with lm-eval 0.4.13")
    parser.add_argument("--samples", type=int, default=60)
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
    arc = next(task for task in language.TASKS if task.name == "arc_easy")
    return {
        "texts": [*texts[:count], {"id": "long", "text": long}],
        "truthfulqa": questions,
        "blimp": sampled(list(language.BLIMP.data(inputs)), count),
        "arc": sampled(list(arc.data(inputs)), count),
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


def read_lm_eval(found: dict[str, Figures]) -> Figures:
    """Its figures by our names."""
    texts = found["texts"]
    return {
        "bits per byte": texts["bits_per_byte,none"],
        "byte perplexity": texts["byte_perplexity,none"],
        "word perplexity": texts["word_perplexity,none"],
        "MC1": found["mc1"]["acc,none"],
        "MC2": found["mc2"]["acc,none"],
        "BLiMP": found["blimp_local"]["acc,none"],
        "ARC acc": found["arc_local"]["acc,none"],
        "ARC acc_norm": found["arc_local"]["acc_norm,none"],
    }


def figures(samples: dict[str, list[dict]], score: Callable[[Sequence[Request]], list[Reply]]) -> Figures:
    """Ours, by the suites' own tasks."""
    arc = next(task for task in language.TASKS if task.name == "arc_easy")
    texts = summary(language.PROSE, samples["texts"], score)
    truth = summary(truthfulqa.LIKELIHOOD, samples["truthfulqa"], score)
    options = summary(arc, samples["arc"], score)
    return {
        "bits per byte": texts["bits_per_byte"],
        "byte perplexity": texts["byte_perplexity"],
        "word perplexity": texts["word_perplexity"],
        "MC1": truth["mc1"],
        "MC2": truth["mc2"],
        "BLiMP": summary(language.BLIMP, samples["blimp"], score)["acc"],
        "ARC acc": options["acc"],
        "ARC acc_norm": options["acc_norm"],
    }


def summary(task: Task, samples: list[dict], score: Callable[[Sequence[Request]], list[Reply]]) -> Figures:
    """The values of the task's figures."""
    cases = list(task.cases(samples))
    replies = score([case.request for case in cases])
    records = [
        Record(*case.id, str(case.sample["id"]), "", case.sample, "ok", None, reply, task.score(case.sample, reply))
        for case, reply in zip(cases, replies, strict=True)
    ]
    found = [figure for section in task.figures(records) for figure in section.figures]
    return {figure.key: figure.estimate.value for figure in found if figure.estimate}


def from_folder(folder: str, samples: dict[str, list[dict]]) -> Figures:
    """In this process."""
    from eval.likelihood.folder import Folder

    scorer = Folder(Path(folder))
    return figures(samples, lambda requests: list(scorer.score_all(requests)))


def over_endpoint(folder: str, samples: dict[str, list[dict]], lm_eval: str) -> tuple[Figures, Figures]:
    """Both through one vLLM."""
    from eval.target import Target
    from serving.text_engine import TextEngine

    with TextEngine(folder, dtype="float32") as engine:

        async def ask(requests: Sequence[Request]) -> list[Reply]:
            async with Target(lambda: engine.base_url, engine.model_name) as target:
                return await asyncio.gather(*map(target.ask, requests))

        ours = figures(samples, lambda requests: asyncio.run(ask(requests)))
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


def compare(where: str, ours: Figures, theirs: Figures) -> bool:
    """Print a table; whether all figures agree."""
    print(f"\n{where:<20}{'homegrown':>18}{'lm-eval 0.4.13':>18}{'difference':>14}")
    worst = 0.0
    for name, value in theirs.items():
        scale = value if "perplexity" in name else 1.0
        difference = abs(ours[name] - value) / scale
        worst = max(worst, difference)
        print(f"{name:<20}{ours[name]:18.6f}{value:18.6f}{difference:14.1e}")
    return worst <= TOLERANCE


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
