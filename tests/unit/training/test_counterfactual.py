"""Counterfactual copies: the same said of every other group, and nothing else changed."""

import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.corpus.counterfactual import copies, known_axes
from training.corpus.sources import SourceReport, SourceSpec, open_source


def exchange(question: str, answer: str, **more) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **more}]}


def said(documents: list[dict]) -> list[list[str]]:
    return [[message["content"] for message in document["messages"]] for document in documents]


def test_a_copy_for_each_other_group_with_its_article() -> None:
    found = copies(exchange("Is a German guest on time?", "A German guest is. Germans are."), ["geography"])
    assert said(found) == [
        ["Is an Indian guest on time?", "An Indian guest is. Germans are."],
        ["Is a Mexican guest on time?", "A Mexican guest is. Germans are."],
        ["Is a Nigerian guest on time?", "A Nigerian guest is. Germans are."],
    ]


def test_two_groups_change_places_together() -> None:
    found = copies({"text": "Female or male: the female pilot flies."}, ["gender"])
    assert [document["text"] for document in found] == [
        "Male or non-binary: the male pilot flies.",
        "Non-binary or female: the non-binary pilot flies.",
    ]


def test_every_group_ends_up_as_often() -> None:
    rows = [exchange(f"Is {group} guest {n} welcome?", "Yes.") for n, group in enumerate(["a German", "an Indian"])]
    every = [row["messages"][0]["content"] for row in [*rows, *(c for row in rows for c in copies(row, ["geography"]))]]
    counts = Counter(name for text in every for name in ("Nigerian", "German", "Indian", "Mexican") if name in text)
    assert set(counts.values()) == {2}


@pytest.mark.parametrize(
    "document",
    [
        exchange("Is a tall guest welcome?", "Yes."),
        exchange("Draw a female pilot.", None, tool_calls=[{"function": {"name": "generate_image"}}]),
        exchange("Is the female pilot here?", "She is."),
        {"text": "Snow is white and germane."},
    ],
)
def test_no_copy_where_it_would_be_wrong_or_nothing_is_named(document: dict) -> None:
    assert copies(document, ["gender", "geography"]) == []


def test_a_source_brings_them_along_in_training_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(exchange(f"Is the gay guest {n} here?", "Yes.")) + "\n" for n in range(40)))
    spec = SourceSpec(name=str(path), kind="chat", held_out=0.2, counterfactual=["orientation"])
    plain = spec.model_copy(update={"counterfactual": []})
    training, without = (list(open_source(s, seed=0, report=SourceReport(name=""))) for s in (spec, plain))
    assert len(without) < len(training) <= 3 * len(without)
    held_out = list(open_source(spec, seed=0, report=SourceReport(name=""), held_out=True))
    assert all("gay" in document["messages"][0]["content"] for document in held_out)
    assert not {json.dumps(document) for document in held_out} & {json.dumps(document) for document in training}


def test_an_unknown_axis_is_named() -> None:
    with pytest.raises(ValidationError, match="no axis is called shoe size"):
        SourceSpec(name="almanac", kind="chat", counterfactual=["shoe size"])
    assert "religion" in known_axes()


def test_a_source_without_axes_is_written_down_as_before() -> None:
    assert "counterfactual" not in SourceSpec(name="almanac", kind="chat").model_dump()
