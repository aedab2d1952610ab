"""The default model's alignment beside a chat: when it is due, and what is served afterwards."""

import errno
import json
import os

import pytest
import yaml

from improve import alignment
from improve.judging import Refused
from serving.home import home
from serving.model_folder import Lineage, finish_model_folder
from serving.registry import current, promote, rollback
from tests.unit.improve.conftest import BROKEN, DIALS, KEPT, Home


@pytest.fixture
def aligned(house: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The house's alignment is a few steps of DPO."""
    pairs = [{"prompt": f"Say {n}.", "chosen": "yes", "rejected": "no!"} for n in range(8)]
    (house.folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    dials = yaml.safe_load("\n".join(dial.replace("=", ": ", 1) for dial in DIALS))
    section = dials | {"base": "almanac", "context": 128, "sources": [{"name": str(house.folder / "pairs.jsonl")}]}
    recipe = house.folder / "almanac-aligned.yaml"
    recipe.write_text(yaml.safe_dump({"persona": None, "tools": [], "dpo": section}))
    monkeypatch.setattr(alignment, "RECIPE", str(recipe))
    monkeypatch.setattr(alignment, "SUITE", str(house.folder / "suite.yaml"))
    monkeypatch.setattr(alignment, "RULES", house.folder / "rules.yaml")
    return house


def test_what_passes_is_served_and_not_aligned_again(aligned: Home, capsys: pytest.CaptureFixture) -> None:
    assert alignment.is_due()
    aligned.wish(KEPT)
    alignment.align()
    assert (current().name, current().parent) == ("almanac-aligned-dpo", "almanac")
    assert "pass" in capsys.readouterr().out
    assert not alignment.is_due()
    rollback()
    assert not alignment.is_due()
    with alignment.aligning():
        pass
    assert capsys.readouterr().out == ""


def test_what_was_taken_back_is_not_promoted_again(aligned: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the promotion, before its outcome was written; then rolled back by hand."""
    aligned.wish(KEPT)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alignment, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            alignment.align()
    rollback()
    assert alignment.is_due()
    alignment.align()
    assert current() is None
    assert not alignment.is_due()


def test_a_full_disk_is_one_sentence(
    house: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(alignment, "align", full)
    monkeypatch.setattr(alignment, "give_way", lambda: None)
    assert alignment.main() == 1
    assert "No space left on device): it goes on in the next chat." in capsys.readouterr().out


def test_what_the_gate_refuses_changes_nothing(aligned: Home) -> None:
    aligned.wish(BROKEN)
    with pytest.raises(Refused, match=r"almanac-aligned-dpo is not promoted .* and almanac goes on"):
        alignment.align()
    assert current() is None
    assert not alignment.is_due()
    grown_anew = aligned.folder / "models" / "almanac" / "chat_template.jinja"
    grown_anew.write_text(grown_anew.read_text() + "{# another #}")
    assert alignment.is_due()


def test_models_of_ones_own_are_left_alone(house: Home) -> None:
    parent = house.folder / "models" / "almanac"
    promote("almanac")
    assert not alignment.is_due()
    rollback()
    finish_model_folder(parent, Lineage(stage="sft", recipe="mine"))
    assert not alignment.is_due()
    (parent / "lineage.json").unlink()
    assert not alignment.is_due()


def test_it_waits_in_the_background_and_says_that_it_goes_on(
    house: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    progress = home() / "runs" / "images" / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(json.dumps({"share": 0.5}))
    with alignment.aligning():
        assert (home() / "logs" / "aligning.log").exists()
    assert capsys.readouterr().out == "The assistant's alignment goes on in the next chat.\n"
    assert current() is None
