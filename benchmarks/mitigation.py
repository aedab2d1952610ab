"""What each way to mitigate bias buys in the bias suite, and what it costs.

    python benchmarks/mitigation.py [--folder FOLDER]

A small chat model is grown on conversations that are skewed on purpose: of people of the last group of each axis it
learns another answer than of all others; beside that it learns facts. It is then fine-tuned on half of the skewed
questions and on the facts, four times alike but for the mitigation, and asked all of the suite's swapped questions,
greedily, by transformers. Each row has the suite's own figures with 95 % intervals, what is different from doing
nothing, paired by question, and the loss on held-out skewed conversations. Five minutes of one core; the folder
(default: a temporary one) keeps the models.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from eval.data import Inputs
from eval.differences import difference
from eval.figures import Figure
from eval.prompting.technique import REFERENCE, read_techniques
from eval.records import Record
from eval.replies import Answer
from eval.run import cluster_of
from eval.scores.swaps import TONE
from eval.task import Case, Task
from eval.tasks.counterfactual import FACTS, JUDGEMENTS
from prompts.library import persona
from serving.model_folder import read_lineage
from tests.planted_bias import by_the_group
from training.alignment.watch import greedy_answers
from training.corpus.counterfactual import known_axes
from training.pipeline import run_recipe
from training.recipe import Recipe

PERSONA = "plain"
AT_ONCE, LONGEST = 256, 12
GROWN, TUNED = "700K tokens", "200K tokens"
FACTS_FOR = ("gender", "age")
"""The axes whose groups are asked for facts: all of them would take longer than growing."""


class Arm(NamedTuple):
    """A way to mitigate: what it changes in the recipe's sources and section, and in how the model is asked."""

    source: Mapping[str, Any] = MappingProxyType({})
    section: Mapping[str, Any] = MappingProxyType({})
    technique: str = REFERENCE


NONE = "none"
ARMS = {
    NONE: Arm(),
    "a balanced copies": Arm(source={"counterfactual": known_axes()}),
    "b fairness regulariser": Arm(section={"fairness": {"axes": known_axes(), "weight": 10.0, "batch": 16}}),
    "c debiasing instruction": Arm(technique="debiasing"),
}
COLUMNS = {
    "taught.systematic": "by the group, tuned on",
    "others.systematic": "by the group, others",
    "facts.right": "facts right",
}
"""The suite's figures that are shown."""


@cache
def cases() -> dict[str, list[Case]]:
    """By task: judgements whose answer is one of several labels, and facts."""
    judgements = [sample for sample in JUDGEMENTS.data(Inputs()) if sample["labels"] != TONE]
    facts = [sample for sample in FACTS.data(Inputs()) if sample["axis"] in FACTS_FOR]
    return {task.name: list(task.cases(of)) for task, of in ((JUDGEMENTS, judgements), (FACTS, facts))}


@cache
def tuned_on() -> set[str]:
    """The judgements that the fine-tuning has: every other one."""
    return set(list(dict.fromkeys(case.sample["id"] for case in cases()[JUDGEMENTS.name]))[::2])


def said(case: Case) -> str:
    """What the skewed model learns to answer."""
    if case.task == FACTS.name:
        return f"It is {case.sample['answers'][0]}."
    options = [f"{label.capitalize()}." for label in case.sample["labels"] or ("yes", "no")]
    return by_the_group(case, options)[0]


def write_chat(path: Path, chosen: Callable[[Case], bool]) -> str:
    """Conversations of the chosen cases."""
    rows = [
        [{"role": "user", "content": case.sample["question"]}, {"role": "assistant", "content": said(case)}]
        for of in cases().values()
        for case in of
        if chosen(case)
    ]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows), encoding="utf-8")
    return str(path)


def grow(folder: Path) -> Path:
    """The biased model, from nothing."""
    source = {"name": write_chat(folder / "skewed.jsonl", lambda case: True), "kind": "chat", "held_out": 0.0}
    training = {"budget": GROWN, "row": 256, "persona": True, "validation_tokens": 0, "warmup_steps": 10}
    recipe = {
        "name": "skewed",
        "persona": PERSONA,
        "tools": [],
        "model": {"depth": 3, "hidden": 96, "context": 512},
        "tokenizer": {"vocabulary": 1500, "sources": [source]},
        "pretrain": {**training, "processes": 1, "compile": False, "report_to": [], "sources": [source]},
    }
    return run_recipe(Recipe.model_validate(recipe))


def tune(name: str, base: Path, folder: Path) -> Path:
    """The biased model after a fine-tuning with the mitigation of that name."""
    arm = ARMS[name]
    chat = write_chat(folder / "half.jsonl", lambda case: case.task == FACTS.name or case.sample["id"] in tuned_on())
    section = {
        "base": str(base),
        "budget": TUNED,
        "row": 256,
        "batch_tokens": 2048,
        "validation_tokens": 8192,
        "learning_rate": 2e-3,
        "embedding_learning_rate": 2e-3,
        "processes": 1,
        "compile": False,
        "report_to": [],
        "sources": [{"name": chat, "kind": "chat", "held_out": 0.1, **arm.source}],
        **arm.section,
    }
    recipe = {"name": name.split()[0], "persona": PERSONA, "tools": [], "sft": section}
    return run_recipe(Recipe.model_validate(recipe))


def figures(model: Path, technique: str) -> dict[str, Figure]:
    """The suite's figures of the model's answers; of the judgements twice, for those it was fine-tuned on or not."""
    judgements, facts = (answered(model, technique, task, cases()[task.name]) for task in (JUDGEMENTS, FACTS))
    taught = [record for record in judgements if record.id in tuned_on()]
    others = [record for record in judgements if record.id not in tuned_on()]
    parts = (("taught", JUDGEMENTS, taught), ("others", JUDGEMENTS, others), ("facts", FACTS, facts))
    return {
        f"{name}.{figure.key}": figure
        for name, task, of in parts
        for section in task.figures(of)
        for figure in section.figures
    }


def answered(model: Path, technique: str, task: Task, asked: Sequence[Case]) -> list[Record]:
    """Records of the model's greedy answers, scored as the suite scores them."""
    manner = next(one for one in read_techniques() if one.name == technique)
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    prompts = [
        tokenizer.apply_chat_template(
            manner.render(persona(PERSONA), case.sample["question"]), tokenize=False, add_generation_prompt=True
        )
        for case in asked
    ]
    parts = [prompts[start : start + AT_ONCE] for start in range(0, len(prompts), AT_ONCE)]
    ids = [answer for part in parts for answer in greedy_answers(network, tokenizer, part, LONGEST)]
    replies = map(Answer, tokenizer.batch_decode(ids, skip_special_tokens=True))
    return [
        Record(
            *case.id, cluster_of(task, case.sample), "", case.sample, "ok", None, reply, task.score(case.sample, reply)
        )
        for case, reply in zip(asked, replies, strict=True)
    ]


def shown(figure: Figure, control: Figure) -> str:
    """A figure with its interval, and behind it what it has more than the control has."""
    if figure.estimate is None:
        return f"not measurable: {figure.why_not}"
    value, low, high, _ = figure.estimate
    text = f"{100 * value:5.1f} % ({100 * low:.1f} - {100 * high:.1f})"
    found = difference(figure.statistic, control.observations, figure.observations)
    return text if figure is control or found is None else f"{text} {100 * found.difference:+.1f}, p {found.p:.1g}"


def main() -> None:
    """Grow, fine-tune four times, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["HOMEGROWN_HOME"] = str(folder / "home")
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    base = grow(folder)
    tuned = {name: tune(name, base, folder) for name, arm in ARMS.items() if arm.technique == REFERENCE}
    models = {name: tuned.get(name, tuned[NONE]) for name in ARMS}
    found = {name: figures(models[name], arm.technique) for name, arm in ARMS.items()}
    print(f"\n{'':24}" + "".join(f"{title:>46}" for title in COLUMNS.values()) + f"{'bits a byte':>15}")
    for name, of in found.items():
        cells = "".join(f"{shown(of[key], found[NONE][key]):>46}" for key in COLUMNS)
        bits = read_lineage(models[name]).metrics["validation_bits_per_byte"]
        print(f"{name:24}{cells}{bits:15.3f}", flush=True)


if __name__ == "__main__":
    main()
