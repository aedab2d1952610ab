"""`homegrown train personalise`: a LoRA that knows one subject, from a handful of its pictures.

It works in `runs/personalise-<name>/`, where sample sheets lie too, and ends as `loras/<name>.safetensors`.
"""

import json
import re
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import UserError
from serving.home import home
from serving.images.folder import NAME, image_folder
from serving.model_folder import folder_digest
from training.checkpoints import write_whole
from training.corpus.locations import digest_of
from training.images.subject import subject_files
from training.launch import Layout, cores, gpus, run_ranks
from training.publish import versions

TOKEN = re.compile(r"[^\W_]+")


class Wish(BaseModel):
    """What a LoRA is made from. None: what is good for the pipeline's family."""

    model_config = ConfigDict(frozen=True)

    subject: Path
    token: str
    class_name: str | None = None
    model: str = "images"
    steps: int | None = Field(default=None, ge=1)
    rank: int = Field(default=8, ge=1)
    prior: int = Field(default=96, ge=0)
    learning_rate: float | None = Field(default=None, gt=0)
    samples_every: int | None = Field(default=None, ge=1)
    seed: int = 0


class PersonalJob(BaseModel):
    """What the rank is told."""

    model_config = ConfigDict(frozen=True)

    wish: Wish
    base: Path
    """The folder of the pipeline."""
    base_sha256: str
    folder: Path
    """prior/, checkpoints/, samples/, and in the end result.json."""
    lora: Path
    layout: Layout

    @property
    def result(self) -> Path:
        return self.folder / "result.json"


class Personalised(BaseModel):
    """What the rank reports."""

    losses: tuple[float, float]
    """Of the subject's pictures in the first and in the last tenth of the steps."""
    seconds: float


def personalise(wish: Wish, name: str | None = None) -> Path:
    """Train, or go on with, the LoRA `name` (the token unless given); returns its file.

    Raises `UserError` when the pictures, the token, the name or the model cannot be used.
    """
    name = name or wish.token
    _check_names(wish.token, name)
    pictures = subject_files(wish.subject)
    base = image_folder(wish.model)
    folder, lora = home() / "runs" / f"personalise-{name}", home() / "loras" / f"{name}.safetensors"
    base_sha256 = folder_digest(base)
    inputs = {
        "wish": wish.model_dump(mode="json", exclude={"subject", "model", "samples_every"}),
        "subject": digest_of(_of_subject(wish.subject)),
        "base": base_sha256,
        "versions": versions(),
    }
    if _read(folder / "stamp.json") == inputs and lora.is_file():
        print(f"personalise  unchanged: {lora}", flush=True)
        return lora
    if _read(folder / "inputs.json") != inputs:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "inputs.json", json.dumps(inputs, indent=1))
    layout = Layout("cuda", 1, 1) if gpus() else Layout("cpu", 1, cores())
    job = PersonalJob(wish=wish, base=base, base_sha256=base_sha256, folder=folder, lora=lora, layout=layout)
    write_whole(folder / "job.json", job.model_dump_json())
    print(
        f"personalise  {len(pictures)} pictures of {wish.token}; sample sheets come in {folder / 'samples'}", flush=True
    )
    run_ranks("training.images.lora", folder / "job.json", layout)
    write_whole(folder / "stamp.json", json.dumps(inputs))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    result = Personalised.model_validate_json(job.result.read_bytes())
    print(f"personalise  done: {lora}  loss {result.losses[0]:.3f} to {result.losses[1]:.3f}", flush=True)
    return lora


def _check_names(token: str, name: str) -> None:
    if not TOKEN.fullmatch(token):
        raise UserError(f"The token {token!r} is not one word of letters and digits: take one such as sks.")
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a LoRA: use letters, digits, '.', '-' and '_'.")


def _of_subject(folder: Path) -> list[Path]:
    """Its pictures and what tells of them."""
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
