"""Which model is served when none is named: promoted, rolled back, and every change of it remembered.

The history is one small file in the home; what it says of a model it says of a folder under home()/models. Weights are
never copied and never deleted here.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from serving.errors import UserError
from serving.home import home
from serving.model_folder import ModelFolderError, check_model_folder, folder_digest
from serving.model_kinds import WHY_NOT, kind_of
from serving.running import running_servers, tell

DEFAULT_MODEL = "almanac"
REASON = "by hand"


class RegistryError(UserError):
    """The history of promotions cannot be used, or does not allow what was asked for."""

    exit_code = 3


class Promotion(BaseModel):
    """One change of what is served: from `time` on the model `name`, whose folder then had the digest `sha256`.

    `parent` is what was served before by this history; `reason` is why, a gate's result for one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["promoted", "rolled back"] = "promoted"
    name: str
    sha256: str
    parent: str
    reason: str = REASON
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def folder(self) -> Path:
        """Where the model is, unless somebody has removed it."""
        return home() / "models" / self.name

    def is_of(self, other: "Promotion") -> bool:
        """Whether both are of the same model, down to its weights."""
        return (self.name, self.sha256) == (other.name, other.sha256)

    def has_changed(self) -> bool:
        """Whether the folder holds something else than when it was promoted. Reads all of its weights."""
        return folder_digest(self.folder) != self.sha256


def history() -> list[Promotion]:
    """Every change, oldest first. Raises `RegistryError` when the file is broken."""
    try:
        return _HISTORY.validate_json(_file().read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError):
        raise RegistryError(
            f"The history of promotions {_file()} cannot be read: mend it, or move it away and promote a model anew."
        ) from None


def current() -> Promotion | None:
    """The promotion in force; None while the default model has not been replaced, or is back."""
    standing = _standing(history())
    return standing[-1] if standing else None


def promoted() -> Path | None:
    """The folder that is served when no model is named; None: the default model's.

    Raises `RegistryError` when it is gone.
    """
    promotion = current()
    if promotion is None:
        return None
    if not promotion.folder.is_dir():
        raise RegistryError(
            f"The promoted model {promotion.name} is gone from {promotion.folder.parent}: put it back, "
            "promote another with `homegrown models promote`, or go back with `homegrown models rollback`."
        )
    return promotion.folder


def default_model() -> str:
    """The folder of the model that is meant when none is named, be it there or not."""
    return str(promoted() or home() / "models" / DEFAULT_MODEL)


def candidate(name_or_folder: str) -> Path:
    """The folder under home()/models of a model that can be promoted. Raises `ModelFolderError` with why it cannot."""
    models = home() / "models"
    given = Path(name_or_folder)
    folder = models / given.name
    if given.name != name_or_folder and given.resolve() != folder.resolve():
        raise ModelFolderError(f"The model {given} is not under {models}, where promoted models live: move it there.")
    adapter = home() / "adapters" / given.name
    kind = kind_of(adapter if adapter.is_dir() and not folder.is_dir() else folder)
    if kind != "text":
        raise ModelFolderError(f"{given.name} cannot be promoted: {WHY_NOT[kind]}.")
    check_model_folder(folder)
    return folder


def promote(
    name_or_folder: str, reason: str = REASON, base_url: str | None = None, sha256: str | None = None
) -> Promotion:
    """Serve this model from now on: servers of this home take it up, and those to come start with it.

    With `base_url` that server alone is asked, wherever it runs; with `sha256` the model's folder must have this
    digest. Returns when new requests are answered by the model. Raises `UserError` when it cannot be promoted, and then
    what was served before still is.
    """
    if base_url:
        wanted = {"model": Path(name_or_folder).name, "reason": reason, "sha256": sha256}
        return _told([base_url], "promotions", wanted)
    promotion = prepare(name_or_folder, reason, sha256)
    wanted = {"model": promotion.name, "reason": reason, "sha256": promotion.sha256}
    return _told(running_servers(), "promotions", wanted) or record(promotion)


def rollback(reason: str = REASON, base_url: str | None = None) -> Promotion:
    """Serve again what was served before the promotion in force. Raises `UserError` as `promote` does."""
    servers = [base_url] if base_url else running_servers()
    return _told(servers, "promotions/rollback", {"reason": reason}) or record(prepare_rollback(reason))


def prepare(name_or_folder: str, reason: str, sha256: str | None = None) -> Promotion:
    """The promotion of a model, not yet in force. With `sha256` its folder must have this digest.

    Raises `ModelFolderError` when the model cannot be promoted.
    """
    folder = candidate(name_or_folder)
    found = folder_digest(folder)
    if sha256 not in (None, found):
        raise ModelFolderError(f"The files of {folder.name} are not those that were meant: look again, and promote it.")
    return Promotion(name=folder.name, sha256=found, parent=_current_name(), reason=reason)


def prepare_rollback(reason: str) -> Promotion:
    """The return to what was served before the promotion in force, not yet made.

    Raises `RegistryError` when nothing was promoted, `ModelFolderError` when the model before cannot be used.
    """
    standing = _standing(history())
    if not standing:
        raise RegistryError("There is nothing to roll back: no model was promoted.")
    folder = candidate(standing[-2].name if len(standing) > 1 else DEFAULT_MODEL)
    sha256 = folder_digest(folder)
    return Promotion(event="rolled back", name=folder.name, sha256=sha256, parent=standing[-1].name, reason=reason)


def record(promotion: Promotion) -> Promotion:
    """Put it in force, on disk; promoting what is in force already changes nothing. Raises `RegistryError`."""
    with _locked():
        standing = _standing(history())
        if promotion.event == "promoted" and standing and promotion.is_of(standing[-1]):
            return standing[-1]
        _write([*history(), promotion])
        return promotion


_HISTORY = TypeAdapter(list[Promotion])


def _standing(changes: list[Promotion]) -> list[Promotion]:
    """The promotions that were not taken back, the one in force last."""
    standing: list[Promotion] = []
    for change in changes:
        if change.event == "promoted":
            standing.append(change)
        else:
            del standing[-1:]
    return standing


def _file() -> Path:
    return home() / "promotions.json"


def _current_name() -> str:
    promotion = current()
    return promotion.name if promotion else DEFAULT_MODEL


def _told(servers: list[str], what: str, wanted: dict) -> Promotion | None:
    """What the last of the servers answers; None without any."""
    answers = [tell(url, what, wanted) for url in servers]
    return Promotion.model_validate(answers[-1]) if answers else None


def _write(changes: list[Promotion]) -> None:
    unfinished = _file().with_name(f"{_file().name}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(_HISTORY.dump_json(changes, indent=1))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(_file())
    except OSError as error:
        raise _not_written(error) from None


@contextmanager
def _locked() -> Iterator[None]:
    """Nobody else changes the history meanwhile; the lock ends with the process."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        lock = _file().with_suffix(".lock").open("a")
    except OSError as error:
        raise _not_written(error) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _not_written(error: OSError) -> RegistryError:
    reason = (error.strerror or str(error)).lower()
    return RegistryError(f"The promotion cannot be written to {_file()} ({reason}): mend that and promote again.")
