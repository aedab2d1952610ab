"""From thumbs to what is served: learnt, examined, promoted or refused, and nothing of it twice."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from improve import loop
from improve.judging import Refused
from improve.learning import served_recipe
from improve.rounds import Round, rounds
from serving.errors import UserError
from serving.model_folder import Lineage, finish_model_folder, folder_digest, read_lineage
from serving.registry import current, promote, rollback
from tests.unit.improve.conftest import BROKEN, KEPT, OPEN, Home, grow_anew


def test_thumbs_make_another_model_that_is_served_once_it_passes(house: Home, capfd: pytest.CaptureFixture) -> None:
    house.press(0, 8)
    with pytest.raises(Refused, match=r"-1 is not promoted \(regression: said.*, and almanac goes on") as refused:
        loop.run(house.wish(BROKEN))
    assert refused.value.exit_code == 1
    assert current() is None
    said = capfd.readouterr().out
    assert "round 1: almanac learns from 8 rows of feedback by dpo" in said
    assert "regression    said.right_option <= -0.5" in said
    [pinned] = rounds()
    lineage, trained = read_lineage(pinned.model), folder_digest(pinned.model)
    assert (lineage.stage, lineage.parent, lineage.recipe) == ("dpo", "almanac", "almanac")
    assert [source.rows for source in lineage.sources] == [8, 16]
    assert trained != folder_digest(house.folder / "models" / "almanac")

    loop.run(house.wish(BROKEN))
    assert "nothing new since round 1, which made almanac-improved-1 (gate: regression)" in capfd.readouterr().out

    loop.run(house.wish(KEPT), dry_run=True)
    assert "round 1, which made almanac-improved-1, would be judged by other rules" in capfd.readouterr().out
    (pinned.folder / "outcome.json").unlink()  # as if it had been killed just before the end
    loop.run(house.wish(BROKEN), dry_run=True)
    assert "would go on with round 1" in capfd.readouterr().out
    with pytest.raises(Refused):
        loop.run(house.wish(BROKEN))
    assert "going on with round 1" in (said := capfd.readouterr().out)
    assert "dpo  unchanged" in said

    loop.run(house.wish(KEPT))
    said = capfd.readouterr().out
    assert "round 1, which made almanac-improved-1, is judged by other rules" in said
    assert "almanac-improved-1 is promoted in the place of almanac" in said
    assert (current().name, current().sha256) == ("almanac-improved-1", trained)
    assert current().reason == "round 1: 8 rows of feedback by dpo"

    loop.run(house.wish())
    assert "no new feedback that almanac-improved-1 may be trained on" in capfd.readouterr().out
    house.press(8, 16)
    loop.run(house.wish(), dry_run=True)
    assert "would train almanac-improved-1 by dpo on 8 rows of feedback since 20" in capfd.readouterr().out
    rollback()
    loop.run(house.wish(), dry_run=True)  # the model that is served again has learnt none of them
    assert "would train almanac by dpo on 16 rows" in capfd.readouterr().out
    assert len(rounds()) == 1


def test_every_thumb_counts_for_kto_and_few_questions_prove_nothing(house: Home) -> None:
    house.press(0, 8)
    with pytest.raises(Refused) as undecided:
        loop.run(house.wish(OPEN, method="kto", lora=True))
    assert undecided.value.exit_code == 3
    [pinned] = rounds()
    assert pinned.plan.rows == 16
    assert read_lineage(pinned.model).stage == "kto"


def test_without_consent_nothing_is_learnt(house: Home, capfd: pytest.CaptureFixture) -> None:
    house.press(0, 8, consent=False)
    loop.run(house.wish())
    assert "there is no new feedback that almanac may be trained on" in capfd.readouterr().out
    assert rounds() == []
    assert house.models == {"almanac"}


def test_too_little_feedback_waits_for_more(house: Home, capfd: pytest.CaptureFixture) -> None:
    house.press(0, 1)
    with pytest.raises(UserError, match="fewer than a batch of 4"):
        loop.run(house.wish())
    house.press(1, 9)
    loop.run(house.wish(), dry_run=True)
    assert "would train almanac by dpo on 9 rows" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gate": None}, "with --gate, and what to ask"),
        ({"recipe": "nowhere"}, "There is no recipe nowhere"),
        ({"overrides": ["dpo.bta=1"]}, "bta is an unknown key"),
        ({"suites": ["nothing"]}, "nothing"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_changes_nothing(house: Home, change: dict, said: str) -> None:
    house.press(0, 8)
    with pytest.raises(UserError, match=said):
        loop.run(loop.Wish(**(vars(house.wish()) | change)))
    assert current() is None
    assert house.models == {"almanac"}


def test_an_aligned_model_is_examined_in_what_its_parent_was_taught(house: Home) -> None:
    aligned = house.folder / "models" / "aligned"
    shutil.copytree(house.folder / "models" / "almanac", aligned)
    finish_model_folder(aligned, Lineage(stage="rloo", recipe="almanac-aligned", parent="almanac"))
    assert served_recipe(aligned, None).name == "almanac"
    assert served_recipe(aligned, "stories").name == "stories"
    finish_model_folder(aligned, Lineage(stage="rloo", recipe="almanac-aligned", parent="aligned"))
    assert served_recipe(aligned, None).name == "almanac-aligned"


def test_a_model_that_nobody_knows_the_recipe_of_needs_one(house: Home) -> None:
    (house.folder / "models" / "almanac" / "lineage.json").unlink()
    with pytest.raises(UserError, match="name one with --recipe"):
        loop.run(house.wish())


@pytest.fixture
def at_once(house: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Goes through a round without training and questions.

    What is made passes the gate, and `meanwhile` comes between that and its promotion.
    """

    def learn(pinned: Round, parent: Path, has_pairs: bool) -> None:
        (pinned.folder / "training" / "model").mkdir(parents=True, exist_ok=True)
        if not pinned.model.is_dir():
            house.copy_model(pinned.plan.model)

    def run(meanwhile: Callable[[], object] = lambda: None, rule: str = KEPT) -> None:
        def judged(*_: object) -> tuple[str, list]:
            meanwhile()
            return "pass", []

        monkeypatch.setattr(loop, "judged", judged)
        loop.run(house.wish(rule))

    monkeypatch.setattr(loop, "learn", learn)
    house.press(0, 8)
    return run


def test_only_what_was_judged_is_promoted(house: Home, at_once: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="are not those that were meant"):
        at_once(lambda: grow_anew(house.folder / "models" / "almanac-improved-1"))
    assert current() is None


def test_a_promotion_that_failed_is_made_up_for(
    at_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise UserError("The server refuses.")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "promote", refused)
        with pytest.raises(UserError, match="The server refuses"):
            at_once()
    at_once()
    assert "going on with round 1" in capfd.readouterr().out
    assert current().name == "almanac-improved-1"


def test_what_was_promoted_meanwhile_stays(house: Home, at_once: Callable[..., None]) -> None:
    house.copy_model("mine")
    with pytest.raises(UserError, match="1 passed the gate, but almanac is not what is served any more"):
        at_once(lambda: promote("mine"))
    assert current().name == "mine"


def test_what_was_grown_anew_meanwhile_stays(house: Home, at_once: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="1 passed the gate, but almanac is not what is served any more"):
        at_once(lambda: grow_anew(house.folder / "models" / "almanac"))
    assert current() is None


@pytest.mark.parametrize("killed", [True, False])
def test_what_was_taken_back_is_not_promoted_again(
    house: Home, at_once: Callable[..., None], killed: bool, capfd: pytest.CaptureFixture
) -> None:
    """By other rules, or because it was killed before it could note that it had promoted it."""
    at_once()
    rollback()
    [pinned] = rounds()
    if killed:
        pinned.end(pinned.outcome.model_copy(update={"promoted": False}))
    with pytest.raises(UserError, match="it was served before and taken back: `homegrown models promote almanac-im"):
        at_once(rule=KEPT if killed else OPEN)
    assert current() is None
    house.press(8, 16)
    loop.run(house.wish(), dry_run=True)
    assert "would train almanac by dpo on 16 rows" in capfd.readouterr().out
