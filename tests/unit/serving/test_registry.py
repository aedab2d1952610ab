"""What is promoted, taken back and remembered; and that nothing is served which cannot be."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving import registry
from serving.engine import EngineError
from serving.errors import UserError
from serving.hub import local_folder
from serving.model_folder import ModelFolderError, folder_digest
from serving.registry import RegistryError, current, default_model, history, promote, promoted, rollback
from serving.running import announced, running_servers
from serving.serve import make_engine
from serving.settings import read_settings
from tests.unit.serving.promotable import copy_model, fill


@pytest.fixture
def home(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    fill(tmp_path, tiny_model)
    return tmp_path


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_without_a_promotion_the_default_model_is_served(home: Path) -> None:
    assert (promoted(), current(), history()) == (None, None, [])
    assert default_model() == str(home / "models" / "almanac")


def test_a_promotion_names_the_folder_its_digest_and_what_it_replaced(home: Path) -> None:
    promotion = promote("better", "gate: passed")
    assert (promotion.name, promotion.parent, promotion.reason) == ("better", "almanac", "gate: passed")
    assert promotion.sha256 == folder_digest(home / "models" / "better")
    assert promoted() == promotion.folder == home / "models" / "better"
    assert current() == promotion
    assert default_model() == str(promotion.folder)


def test_a_model_is_promoted_by_its_folder_as_well(home: Path) -> None:
    assert promote(str(home / "models" / "better")).name == "better"


def test_rollbacks_go_back_step_by_step_and_nothing_is_forgotten(home: Path, tiny_model: Path) -> None:
    copy_model(tiny_model, home, "third", stage="dpo")
    for name in ("better", "third"):
        promote(name)
    assert (rollback("it stammers").name, Path(default_model()).name) == ("better", "better")
    promote("third")
    assert [rollback().name, rollback().name] == ["better", "almanac"]
    assert promoted() is None
    told = [(change.event, change.parent, change.name) for change in history()]
    assert told == [
        ("promoted", "almanac", "better"),
        ("promoted", "better", "third"),
        ("rolled back", "third", "better"),
        ("promoted", "better", "third"),
        ("rolled back", "third", "better"),
        ("rolled back", "better", "almanac"),
    ]
    assert history()[2].reason == "it stammers"
    with pytest.raises(RegistryError, match="nothing to roll back"):
        rollback()


def test_the_same_model_twice_is_one_promotion(home: Path) -> None:
    assert promote("better", "first") == promote("better", "again")
    assert [change.reason for change in history()] == ["first"]


def test_a_model_that_has_changed_since_is_another_one(home: Path) -> None:
    promotion = promote("better")
    assert not promotion.has_changed()
    shutil.copy(home / "models" / "almanac" / "model.safetensors", home / "models" / "better")
    assert promotion.has_changed()
    assert promote("better").sha256 != promotion.sha256
    assert len(history()) == 2


def test_what_was_meant_must_be_what_is_there(home: Path) -> None:
    with pytest.raises(ModelFolderError, match="The files of better are not those that were meant"):
        registry.prepare("better", "", sha256="0" * 64)


def test_a_promoted_model_that_is_gone_is_told(home: Path) -> None:
    promote("better")
    shutil.rmtree(home / "models" / "better")
    with pytest.raises(RegistryError, match=r"better is gone .*`homegrown models rollback`"):
        default_model()
    assert rollback().name == "almanac"


def test_a_rollback_to_what_is_gone_changes_nothing(home: Path) -> None:
    promotion = promote("better")
    shutil.rmtree(home / "models" / "almanac")
    with pytest.raises(ModelFolderError, match="almanac cannot be promoted: there is no such model folder"):
        rollback()
    assert current() == promotion


def test_a_server_started_without_a_name_serves_what_is_promoted_under_the_default_name_too(home: Path) -> None:
    shutil.rmtree(home / "adapters")
    settings = read_settings()
    assert (make_engine(settings, None).model_name, make_engine(settings, None).also_called) == ("almanac", [])
    promote("better")
    assert (make_engine(settings, None).model_name, make_engine(settings, None).also_called) == ("better", ["almanac"])
    named = make_engine(settings, "almanac-base")
    assert (named.model_name, named.also_called) == ("almanac-base", [])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "there is no such model folder; `homegrown models list`"),
        ("..", "there is no such model folder"),
        ("", "there is no such model folder"),
        ("judge", "it judges answers"),
        ("almanac-embedder", "HOMEGROWN_EMBEDDING_MODEL"),
        ("images", "HOMEGROWN_IMAGE_MODEL"),
        ("tuned", "it is an adapter"),
    ],
)
def test_what_is_no_text_model_is_refused_and_nothing_changes(home: Path, name: str, why: str) -> None:
    promotion = promote("better")
    with pytest.raises(ModelFolderError, match=why) as refusal:
        promote(name)
    assert str(refusal.value).count("\n") == 0
    assert current() == promotion


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("judge", "it judges answers"),
        ("almanac-embedder", "HOMEGROWN_EMBEDDING_MODEL"),
        ("images", "HOMEGROWN_IMAGE_MODEL"),
    ],
)
def test_what_is_no_text_model_is_not_served_as_one(home: Path, name: str, why: str) -> None:
    with pytest.raises(ModelFolderError, match=f"{name} cannot be talked to: .*{why}"):
        local_folder(name)


def test_a_folder_elsewhere_is_refused(home: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"is not under .*move it there"):
        promote(str(tiny_model))


def test_a_broken_model_is_refused(home: Path) -> None:
    weights = home / "models" / "better" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ModelFolderError, match="truncated or corrupt"):
        promote("better")
    assert promoted() is None


def test_on_a_full_disk_what_was_served_stays(home: Path) -> None:
    promotion = promote("better")
    before = (home / "promotions.json").read_bytes()
    with full_disk(), pytest.raises(RegistryError, match=r"cannot be written .*too large"):
        promote("almanac-base")
    assert (home / "promotions.json").read_bytes() == before
    assert current() == promotion


def test_a_write_that_was_killed_half_way_is_none(home: Path) -> None:
    promotion = promote("better")
    (home / "promotions.json.part").write_text('[{"event": "promo')
    assert current() == promotion
    assert promote("almanac-base").parent == "better"


def test_a_history_that_cannot_be_read_is_told(home: Path) -> None:
    promote("better")
    (home / "promotions.json").write_text("[{]")
    with pytest.raises(RegistryError, match=r"promotions\.json cannot be read: mend it"):
        default_model()
    with pytest.raises(RegistryError, match="cannot be read"):
        promote("almanac-base")


def test_a_server_is_listed_while_it_runs(home: Path) -> None:
    with announced("http://127.0.0.1:8123"), announced("http://127.0.0.1:8124"):
        assert running_servers() == ["http://127.0.0.1:8123", "http://127.0.0.1:8124"]
    assert running_servers() == []


def test_one_that_was_killed_is_not(home: Path) -> None:
    (home / "servers").mkdir()
    (home / "servers" / "8123").write_text("http://127.0.0.1:8123")
    assert running_servers() == []


def test_a_server_that_does_not_answer_is_told_and_nothing_changes(home: Path) -> None:
    with announced("http://127.0.0.1:9"), pytest.raises(EngineError, match=r"127\.0\.0\.1:9 does not answer"):
        promote("better")
    with pytest.raises(UserError, match="does not answer"):
        promote("better", base_url="http://127.0.0.1:9/v1")
    assert history() == []
