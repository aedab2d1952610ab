"""Shards: deterministic, mixed by tokens, in the order of the curriculum, whole or not there."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import UserError
from tests.unit.training.conftest import Workshop, make_workshop
from training.corpus.sources import SourceSpec
from training.prefix_packing import PADDING
from training.recipe import Dress, Recipe, load_recipe
from training.rendering import Document, Renderer
from training.tokenizer import train_tokenizer
from training.tokens import PackedRows, StreamJob, copies, cut, write_rows, write_stream


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    workshop = make_workshop(tmp_path_factory.mktemp("tokens"))
    recipe = load_recipe(str(workshop.path))
    train_tokenizer(recipe.tokenizer, recipe.model.context, 0, workshop.folder / "tokenizer")
    return workshop


def write(workshop: Workshop, recipe: Recipe, stage: str, steps: int, folder: Path) -> list:
    section = getattr(recipe, stage)
    return write_rows(
        section, steps, workshop.folder / "tokenizer", recipe.dress(section), recipe.seed, folder, lambda share: None
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.npy"))}


def test_the_same_recipe_writes_the_same_rows_and_another_seed_others(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path))
    for name in ("a", "b"):
        write(workshop, recipe, "pretrain", 20, tmp_path / name)
    write(workshop, load_recipe(str(workshop.path), ["seed=1"]), "pretrain", 20, tmp_path / "c")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_steps_are_rows_and_phases_come_in_order(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path))
    write(workshop, recipe, "pretrain", 20, tmp_path)
    rows = PackedRows(tmp_path / "training", seed=0)
    assert len(rows) == 20 * 8
    assistant = [bool((row["token"] == 1).any()) for row in (rows[i] for i in range(len(rows)))]
    assert not any(assistant[:80])  # the first phase holds no chat, so no <|im_start|>
    assert sum(assistant[80:]) > 20


def test_weights_are_shares_of_tokens(workshop: Workshop, tmp_path: Path) -> None:
    reports = write(workshop, load_recipe(str(workshop.path)), "pretrain", 40, tmp_path)
    first = [sum(report.tokens[name] for report in reports[:2]) for name in reports[0].tokens]
    assert first[1] / sum(first) == pytest.approx(0.2, abs=0.01)


def test_names_are_made_up_with_the_token_counts_of_the_tokenizer(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    monkeypatch.setattr(Renderer, "token_count", lambda self, name: counted.append(name) or 3)
    job = StreamJob(
        path=tmp_path / "00.npy",
        tokenizer=workshop.folder / "tokenizer",
        sources=[SourceSpec(name="almanac", kind="chat")],
        dress=Dress(),
        answers_only=True,
        rows=8,
        row=256,
        seed=0,
        part=(0, 1),
    )
    write_stream(job)
    assert counted


def test_finished_streams_are_kept(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path))
    write(workshop, recipe, "pretrain", 8, tmp_path)
    before = contents(tmp_path)
    kept = tmp_path / "training" / "00" / "00.npy"
    inode = kept.stat().st_ino
    (tmp_path / "training" / "01" / "01.npy").unlink()
    write(workshop, recipe, "pretrain", 8, tmp_path)
    assert kept.stat().st_ino == inode
    assert contents(tmp_path) == before


def test_rows_are_shuffled_within_a_phase_by_the_seed(workshop: Workshop, tmp_path: Path) -> None:
    write(workshop, load_recipe(str(workshop.path)), "sft", 8, tmp_path)
    first, second = PackedRows(tmp_path / "training", seed=0), PackedRows(tmp_path / "training", seed=1)
    assert len(first) == 16
    assert sorted(row.tobytes() for row in first) == sorted(row.tobytes() for row in second)
    assert [row.tobytes() for row in first] != [row.tobytes() for row in second]


def test_held_out_documents_are_never_trained_on(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path), ["pretrain.validation_tokens=4096"])
    write(workshop, recipe, "pretrain", 200, tmp_path / "data")
    trained, held = (documents_in(PackedRows(tmp_path / "data" / part, 0)) for part in ("training", "validation"))
    assert len(held) > 10
    assert len(trained) > 500
    assert not held & trained


@pytest.mark.timeout(120)
def test_a_source_without_end_that_holds_nothing_out_is_not_searched_for_it(workshop: Workshop, tmp_path: Path) -> None:
    almanac, chats = "{name: almanac, kind: chat, held_out: 0}", workshop.folder / "chat.jsonl"
    alone = load_recipe(str(workshop.path), [f"sft.sources=[{almanac}]"])
    write(workshop, alone, "sft", 1, tmp_path / "alone")
    assert not (tmp_path / "alone" / "validation").exists()
    sources = f"sft.sources=[{almanac}, {{name: {chats}, kind: chat, held_out: 0.05}}]"
    write(workshop, load_recipe(str(workshop.path), [sources]), "sft", 1, tmp_path / "both")
    assert len(PackedRows(tmp_path / "both" / "validation", 0)) == 1


def documents_in(rows: PackedRows) -> set[bytes]:
    found = set()
    for row in (rows[i] for i in range(len(rows))):
        for segment in set(row["segment"].tolist()) - {PADDING}:
            found.add(row["token"][row["segment"] == segment].tobytes())
    return found


def test_rows_too_short_for_any_conversation(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path), ["sft.row=64", "sft.batch_tokens=64"])
    with pytest.raises(UserError, match="longer than a row of 64 tokens: raise `row`"):
        write(workshop, recipe, "sft", 2, tmp_path)


def test_a_source_with_fewer_documents_than_streams_serves_them_all(workshop: Workshop, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps({"text": "The only sentence there is."}))
    source = f"[{{name: {one}, kind: text, held_out: 0}}]"
    recipe = load_recipe(str(workshop.path), [f"pretrain.phases.0.sources={source}", "pretrain.phases.1.share=0.01"])
    write(workshop, recipe, "pretrain", 4, tmp_path / "data")
    assert len(PackedRows(tmp_path / "data" / "training", 0)) == 32


@pytest.mark.parametrize("text", ["", "\n\n", "not json\n" * 20])
def test_empty_and_broken_data_are_one_sentence(workshop: Workshop, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    recipe = load_recipe(str(workshop.path), [f"sft.sources=[{{name: {path}, kind: chat}}]"])
    with pytest.raises(UserError, match=r"bad\.jsonl"):
        write(workshop, recipe, "sft", 2, tmp_path / "data")


def test_a_full_disk_is_noticed_before_anything_is_written(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 10})())
    with pytest.raises(UserError, match="0 MB left and the training data need"):
        write(workshop, load_recipe(str(workshop.path)), "pretrain", 20, tmp_path)


def test_long_texts_are_cut() -> None:
    document = Document((), np.arange(250), np.arange(250) > 0)
    pieces = list(cut(document, 100))
    assert [len(piece.ids) for piece in pieces] == [100, 100, 50]
    assert np.concatenate([piece.ids for piece in pieces]).tolist() == list(range(250))
    assert [piece.counted.sum() for piece in pieces] == [99, 99, 49]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_copies_count_only_what_was_said_before(seed: int) -> None:
    forms = {token: [token, token ^ 1] for token in range(4, 60)}
    document = copies(random.Random(seed), vocabulary=100, forms=forms, row=128)
    ids = document.ids.tolist()
    alike = [token & ~1 if token in forms else token for token in ids]
    for place in np.flatnonzero(document.counted):
        said = alike[place - 1], ids[place]
        assert any((alike[start], ids[start + 1]) == said for start in range(place - 1))
    assert document.counted.any()
    assert min(ids) >= 4
