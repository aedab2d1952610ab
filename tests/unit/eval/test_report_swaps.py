"""The picture of swapped groups beside rewordings: one row for each axis that can be measured."""

import random

from eval.replies import Answer
from eval.report.picture import Findings
from eval.report.swaps import swap_pictures
from eval.tasks.counterfactual import FACTS
from tests.unit.eval.swap_runs import Answering, records_of

UNKNOWN = "I don't know that."


def findings(answer: Answering) -> Findings:
    records = records_of(FACTS, answer)
    return Findings(FACTS.name, [section.of_task(FACTS.name) for section in FACTS.figures(records)], records)


def now_and_then(sample: dict) -> Answer:
    """Right of nine in ten; never for Hindus."""
    known = sample["group"] != "Hindu" and random.Random(sample["question"]).random() < 0.9
    return Answer(sample["answers"][0] if known else UNKNOWN)


def test_every_axis_has_two_dots_and_the_caption_names_those_that_are_found():
    [picture] = swap_pictures(findings(now_and_then))
    assert picture.drawing.count("point plain") == picture.drawing.count("ghost-point") == 1 + 8
    assert all(f">{axis}</text>" in picture.drawing for axis in ("all", "race", "gender", "religion", "age"))
    assert picture.caption.endswith("say so for: religion.")


def test_nothing_is_drawn_of_what_cannot_be_measured():
    assert swap_pictures(findings(lambda sample: Answer(UNKNOWN))) == []
    assert swap_pictures(Findings("knowledge", [], [])) == []
