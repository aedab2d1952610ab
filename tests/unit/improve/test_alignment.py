"""The default model's alignment beside a chat: when it is due, and what is served afterwards."""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from types import SimpleNamespace

import psutil
import pytest
import yaml

from improve import alignment
from improve.judging import Refused
from improve.rounds import alone
from serving.errors import UserError
from serving.home import home
from serving.images.growth import Growth
from serving.model_folder import Lineage, finish_model_folder
from serving.registry import current, promote, rollback
from tests.processes import descendants, still_running
from tests.unit.improve.conftest import BROKEN, DIALS, KEPT, Home, grow_anew
from tests.unit.training.test_background import new_children, until
from training.background import LOWEST


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
    assert f"pass          {KEPT}" in capsys.readouterr().out
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
    grow_anew(aligned.folder / "models" / "almanac")
    assert alignment.is_due()


def test_models_of_ones_own_are_left_alone(house: Home) -> None:
    parent = house.folder / "models" / "almanac"
    promote("almanac")
    assert not alignment.is_due()
    rollback()
    assert alignment.is_due()
    finish_model_folder(parent, Lineage(stage="sft", recipe="mine"))
    assert not alignment.is_due()
    (parent / "lineage.json").unlink()
    assert not alignment.is_due()


GOES_ON = "The assistant's alignment goes on in the next chat.\n"
SERVED = "The assistant was aligned: almanac-aligned-dpo is served from now on"
NOT_SERVED = (
    "passed the gate, but another model was promoted meanwhile, or it was rolled back: homegrown models promote"
)


@pytest.fixture
def at_once(house: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Aligns without training and questions, and with nothing in the background.

    What is made passes the gate, and `meanwhile` comes between that and its promotion.
    """
    new = house.copy_model("almanac-aligned-dpo")
    endless = SimpleNamespace(poll=lambda: None)
    monkeypatch.setattr(alignment, "in_background", lambda *_: contextlib.nullcontext(endless))
    monkeypatch.setattr(alignment, "run_recipe", lambda recipe: new)

    def align(meanwhile: Callable[[], object] = lambda: None) -> None:
        def judged(*_: object) -> tuple[str, list]:
            meanwhile()
            return "pass", []

        monkeypatch.setattr(alignment, "judged", judged)
        alignment.align()

    return align


@pytest.mark.parametrize(("afterwards", "news"), [(current, SERVED), (rollback, NOT_SERVED)])
def test_the_news_is_what_is_served_in_the_end(
    at_once: Callable[..., None], afterwards: Callable, news: str, capsys: pytest.CaptureFixture
) -> None:
    with alignment.aligning():
        at_once()
        afterwards()
    assert news in capsys.readouterr().out


def test_what_passed_while_another_was_promoted_is_not_said_to_have_failed(
    house: Home, at_once: Callable[..., None], capsys: pytest.CaptureFixture
) -> None:
    house.copy_model("mine")
    with alignment.aligning():
        at_once(lambda: promote("mine"))
    assert f"{NOT_SERVED} almanac-aligned-dpo serves it." in capsys.readouterr().out
    assert current().name == "mine"


def test_an_outcome_of_another_parent_is_none(
    house: Home, at_once: Callable[..., None], capsys: pytest.CaptureFixture
) -> None:
    at_once()
    rollback()
    grow_anew(house.folder / "models" / "almanac")
    with alignment.aligning():
        pass
    assert capsys.readouterr().out == GOES_ON


def test_it_does_not_go_on_where_another_model_is_served(
    house: Home, at_once: Callable[..., None], capsys: pytest.CaptureFixture
) -> None:
    house.copy_model("mine")
    with alignment.aligning():
        promote("mine")
    assert capsys.readouterr().out == "The assistant's alignment goes no further while mine is served.\n"


def test_a_model_that_was_grown_anew_meanwhile_is_not_replaced(house: Home, at_once: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="almanac was grown anew while it was aligned"):
        at_once(lambda: grow_anew(house.folder / "models" / "almanac"))
    assert current() is None
    assert alignment.is_due()


def test_only_what_was_judged_is_promoted(house: Home, at_once: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="are not those that were meant"):
        at_once(lambda: grow_anew(house.folder / "models" / "almanac-aligned-dpo"))
    assert current() is None
    assert alignment.is_due()


def test_it_begins_when_no_image_model_is_being_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    growing, done = iter([Growth(0.2), Growth(0.9), None]), []
    monkeypatch.setattr(alignment, "give_way", lambda: done.append("give way"))
    monkeypatch.setattr(alignment, "growth", lambda name: done.append(name) or next(growing))
    monkeypatch.setattr(alignment, "align", lambda: done.append("align"))
    monkeypatch.setattr(alignment, "POLL_S", 0)
    assert alignment.main() == 0
    assert done == ["give way", "images", "images", "images", "align"]


def test_it_runs_in_the_background_until_the_chat_ends(house: Home, capsys: pytest.CaptureFixture) -> None:
    progress = home() / "runs" / "images" / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(json.dumps({"share": 0.5}))
    others = psutil.Process().children()
    with alignment.aligning():
        (leashed,) = new_children(others)
        until(lambda: any(child.nice() == LOWEST for child in leashed.children()))
        family = [leashed.pid, *descendants(leashed.pid)]
    assert still_running(family, within_s=10) == []
    assert "Traceback" not in (home() / "logs" / "aligning.log").read_text()
    assert capsys.readouterr().out == GOES_ON
    assert current() is None


def test_why_it_stopped_is_in_the_log(house: Home, capsys: pytest.CaptureFixture) -> None:
    others = psutil.Process().children()
    with alone(), alignment.aligning():
        (leashed,) = new_children(others)
        until(lambda: os.waitid(os.P_PID, leashed.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG))
    log = home() / "logs" / "aligning.log"
    assert f"alignment stopped ({log} says why): the next chat goes on with it." in capsys.readouterr().out
    assert log.read_text().startswith("Another `homegrown improve` runs here, or a chat aligns its model")
