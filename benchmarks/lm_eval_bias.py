"""The same bias figures as lm-eval 0.4.13? Both score the same sentences with the same model, in float32, in one run.

    HOMEGROWN_DATA=FOLDER python benchmarks/lm_eval_bias.py MODEL --lm-eval PYTHON [--samples 240]

PYTHON is that of an environment with lm-eval 0.4.13 and its extra [hf]. Prints every figure of both with their
difference and exits with 1 as benchmarks/lm_eval_parity.py does. `--samples` is how many questions of BBQ and pairs of
CrowS-Pairs are asked, 0 for all; Winogender is asked whole. Whether a model reads a test at all, which decides if we
show a figure, does not matter here.

Where we differ on purpose: where answers to BBQ name people and none of them is biased, lm-eval gives a bias score of 0
and the formula of the paper, as ours, a negative one; the last lines show it on answers chosen to be so. A tie of the
two sentences of CrowS-Pairs is left out and counted (lm-eval takes it for the less stereotyping one), and a tie between
people and unknowns of BBQ as well (lm-eval takes the first).
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.lm_eval_parity import BATCH, Figures, Found, agree_on_figure, compare, scored  # noqa: E402
from benchmarks.shared_context import ask_lm_eval  # noqa: E402
from eval.data import Inputs, public_path, public_rows, rows  # noqa: E402
from eval.likelihood.folder import Folder  # noqa: E402
from eval.records import Record  # noqa: E402
from eval.task import Task, sampled  # noqa: E402
from eval.tasks import bbq, crows_pairs, winogender  # noqa: E402
from eval.tasks.bbq_figures import Answered  # noqa: E402

TASKS = {"bbq": bbq.LIKELIHOOD, "crows": crows_pairs.TASK, "winogender": winogender.TASK}
GENDERS = (winogender.NEUTRAL, *winogender.GENDERS)
CONTEXTS = {True: "amb", False: "disamb"}
"""Whether a text leaves open who it was: how lm-eval names that."""
Rows = dict[str, list[dict]]


def main() -> None:
    """Score, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--lm-eval", required=True, help="a Python with lm-eval 0.4.13")
    parser.add_argument("--samples", type=int, default=240)
    arguments = parser.parse_args()
    folder = str(Path(arguments.model).resolve())
    rows_of = published(arguments.samples or None)
    samples = {
        "bbq": [bbq.question(row) for row in rows_of["bbq"]],
        "crows": [sample for sample in crows_pairs.pairs(Inputs()) if sample["id"] in ids(rows_of["crows"])],
        "winogender": winogender.sentences(Inputs()),
    }
    scorer = Folder(Path(folder))
    records = {
        name: scored(task, samples[name], lambda requests: list(scorer.score_all(requests)))
        for name, task in TASKS.items()
    }
    without_biased = [row for row, record in zip(rows_of["bbq"], records["bbq"], strict=True) if bias_of(record) <= 0]
    theirs = ask_lm_eval(arguments.lm_eval, wanted(folder, rows_of | {"without_biased": without_biased}))
    ours = found(records)
    by_category = [place for place in comparable(records["bbq"]) if name_of(*place) in ours.figures]
    fits = compare("likelihood", ours, read_lm_eval(theirs, by_category))
    show_difference(theirs, [record for record in records["bbq"] if bias_of(record) <= 0])
    sys.exit(0 if fits else 1)


def published(count: int | None) -> Rows:
    """The rows of the sets as they are published, those of Winogender as lm-eval's copy has them."""
    questions = [row for file in sorted(public_path(bbq.FOLDER).glob("*.jsonl*")) for row in rows(file)]
    return {
        "bbq": sampled(questions, count),
        "crows": sampled(public_rows(crows_pairs.FILE), count),
        "winogender": [
            {
                "sentence": sample["question"],
                "pronoun": sample["pronoun"],
                "occupation": sample["choices"][0],
                "participant": sample["choices"][1],
                "label": sample["answer"],
                "gender": sample["gender"],
                "gotcha": sample["gender"] != winogender.NEUTRAL and winogender.is_gotcha(sample),
            }
            for case in winogender.TASK.cases(winogender.sentences(Inputs()))
            for sample in [case.sample]
        ],
    }


def ids(rows_of_set: Sequence[dict]) -> set[str]:
    return {row["id"] for row in rows_of_set}


def wanted(folder: str, rows_of: Rows) -> dict:
    """The same rows by lm-eval's own tasks, of which only where the data are is changed."""
    pairs = [{name: row[name] for name in ("sent_more", "sent_less", "bias_type")} for row in rows_of["crows"]]
    sentences = rows_of["winogender"]
    included = {
        "bbq_local": ("bbq/bbq_multiple_choice.yaml", rows_of["bbq"]),
        "bbq_without_biased": ("bbq/bbq_multiple_choice.yaml", rows_of["without_biased"]),
        "crows_local": ("crows_pairs/crows_pairs_english.yaml", pairs),
        "crows_local_gender": ("crows_pairs/crows_pairs_english_gender.yaml", pairs),
        "winogender_local": ("winogender/winogender.yaml", sentences),
        **{f"winogender_local_{gender}": (f"winogender/winogender_{gender}.yaml", sentences) for gender in GENDERS},
        "winogender_local_gotcha": ("winogender/winogender_gotcha.yaml", [s for s in sentences if s["gotcha"]]),
    }
    tasks = {
        name: {"yaml": {"include": yaml}, "split": "test", "rows": of} for name, (yaml, of) in included.items() if of
    }
    model_args = {"pretrained": folder, "dtype": "float32"}
    return {"do": "tasks", "model": "hf", "model_args": model_args, "tasks": tasks, "batch_size": BATCH}


def comparable(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """(context, category) of the bias scores that rest on a biased answer at least."""
    biased = {(r.sample["ambiguous"], r.sample["category"]) for r in records if bias_of(r) > 0}
    return ((CONTEXTS[ambiguous], category) for ambiguous, category in sorted(biased, reverse=True))


def name_of(context: str, category: str) -> str:
    return f"  {context}. {category}"


def read_lm_eval(theirs: dict[str, dict], by_category: Sequence[tuple[str, str]]) -> Found:
    """What it found, by our names; of bias scores only those named."""
    figures = theirs["figures"]
    bias, crows = figures["bbq_local"], figures["crows_local"]
    by_name = {
        "BBQ accuracy, ambiguous": bias["accuracy_amb,none"],
        "BBQ accuracy, disambig.": bias["accuracy_disamb,none"],
        "BBQ bias, ambiguous": bias["amb_bias_score,none"],
        "BBQ bias, disambig.": bias["disamb_bias_score,none"],
        **{name_of(context, name): bias[f"{context}_bias_score_{name},none"] for context, name in by_category},
        "CrowS-Pairs difference": crows["likelihood_diff,none"],
        "CrowS-Pairs share": crows["pct_stereotype,none"],
        "CrowS-Pairs, gender": figures["crows_local_gender"]["pct_stereotype,none"],
        "Winogender": figures["winogender_local"]["acc,none"],
        **{f"Winogender, {name}": figures[f"winogender_local_{name}"]["acc,none"] for name in (*GENDERS, "gotcha")},
    }
    names = {"BBQ": "bbq_local", "CrowS-Pairs": "crows_local", "Winogender": "winogender_local"}
    return Found(by_name, {ours: theirs["logprobs"][name] for ours, name in names.items()})


def found(records: dict[str, list[Record]]) -> Found:
    """Ours, by the suite's own tasks."""
    values = {name: shown_or_not(TASKS[name], of) for name, of in records.items()}
    by_category = {
        name_of(short, key.removeprefix(start)): value
        for long, short in (("ambiguous", "amb"), ("disambiguated", "disamb"))
        for start in [f"bias.{long}."]
        for key, value in values["bbq"].items()
        if key.startswith(start)
    }
    figures = {
        "BBQ accuracy, ambiguous": values["bbq"]["accuracy.ambiguous"],
        "BBQ accuracy, disambig.": values["bbq"]["accuracy.disambiguated"],
        "BBQ bias, ambiguous": values["bbq"]["bias.ambiguous"],
        "BBQ bias, disambig.": values["bbq"]["bias.disambiguated"],
        **by_category,
        "CrowS-Pairs difference": values["crows"]["difference"],
        "CrowS-Pairs share": values["crows"]["stereotype"],
        "CrowS-Pairs, gender": values["crows"]["type.gender"],
        "Winogender": values["winogender"]["accuracy"],
        **{f"Winogender, {name}": values["winogender"][f"accuracy.{name}"] for name in (*GENDERS, "gotcha")},
    }
    options = {"BBQ": ("bbq", 12), "CrowS-Pairs": ("crows", 2), "Winogender": ("winogender", 2)}
    logprobs = {
        name: [record.reply.logprobs[:count] for record in records[of]] for name, (of, count) in options.items()
    }
    return Found(figures, logprobs)


def shown_or_not(task: Task, records: Sequence[Record]) -> Figures:
    """The values of the task's figures, whether or not a reader would be shown them."""
    figures = [figure for section in task.figures(records) for figure in section.figures]
    estimates = {f.key: replace(f, unmeasurable="", smallest_n=2).estimate for f in figures}
    return {key: found.value for key, found in estimates.items() if found}


def bias_of(record: Record) -> int:
    return Answered(record, record.scores["taken"]).bias


def show_difference(theirs: dict[str, dict], records: Sequence[Record]) -> None:
    """Answers of which none is biased: lm-eval's 0 beside what the formula gives."""
    values = shown_or_not(TASKS["bbq"], records)
    print("\nno biased answer among them, on purpose not the same")
    for ours, other in (("bias.ambiguous", "amb_bias_score"), ("bias.disambiguated", "disamb_bias_score")):
        agree_on_figure(ours, values[ours], theirs["figures"]["bbq_without_biased"][f"{other},none"])


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
