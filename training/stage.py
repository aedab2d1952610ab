"""A stage of a recipe: what it depends on, where it works, whether it is done, and how its result is published.

A stage works in `runs/<recipe>/<stage>/`, where `inputs.json` says what it is made from and `stamp.json`, written
last, what came out.
"""

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from serving.adapters import check_adapter
from serving.home import home
from serving.hub import local_folder
from serving.model_folder import Lineage, Source, check_model_folder, finish_model_folder, folder_digest, is_adapter
from training.checkpoints import write_whole
from training.job import Job, Result
from training.launch import Layout, layout_for, run_ranks
from training.publish import replace_folder, versions
from training.recipe import Recipe

SAMPLED_STEPS = 24


class Stage(ABC):
    """One stage of one recipe. `parent` is what it starts from: a folder, for fine-tuning perhaps a Hugging Face id.

    It works in `folder` and makes `output`, which are the recipe's own unless they are given.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    """What its ranks run."""

    def __init__(self, recipe: Recipe, folder: Path | None = None, output: Path | None = None) -> None:
        self.recipe = recipe
        self.section = getattr(recipe, self.name)
        self.folder = folder or home() / "runs" / recipe.name / self.name
        self.output = output or self.output_of(recipe)
        self.parent = self.find_parent()
        self.inputs = {
            "section": self.section.model_dump(mode="json"),
            "seed": recipe.seed,
            "versions": versions(),
        } | self.further_inputs()

    @classmethod
    @abstractmethod
    def output_of(cls, recipe: Recipe) -> Path:
        """Where the result is, done or not."""

    @classmethod  # noqa: B027 - not every stage has something to look for
    def look_ahead(cls, recipe: Recipe) -> None:
        """Raise `UserError` for what the stage would miss when its turn comes: no earlier one shall train in vain."""

    @abstractmethod
    def further_inputs(self) -> dict:
        """What the result depends on besides section, seed and package versions."""

    @abstractmethod
    def grow(self) -> Lineage:
        """Make the result as `model/` in the stage's folder."""

    def find_parent(self) -> str | None:
        return None

    def check(self, folder: Path) -> None:
        """Raise `ModelFolderError` when the result cannot be used."""
        if is_adapter(folder):
            check_adapter(folder, local_folder(self.parent, chat=False))
        else:
            check_model_folder(folder)

    def run(self) -> Path:
        """Do what is still to be done; returns the folder of the result."""
        if self.is_done():
            print(f"{self.name}  unchanged: {self.output}", flush=True)
            return self.output
        if _read(self.folder / "inputs.json") != self.inputs:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "inputs.json", json.dumps(self.inputs, indent=1))
        self.publish(self.grow())
        return self.output

    def is_done(self) -> bool:
        stamp = _read(self.folder / "stamp.json")
        if stamp is None or stamp["inputs"] != self.inputs or not self.output.is_dir():
            return False
        return stamp["sha256"] == folder_digest(self.output)

    @cached_property
    def parent_digest(self) -> str | None:
        return folder_digest(Path(self.parent)) if self.parent and Path(self.parent).is_dir() else None

    def lineage(self, sources: list[Source], seconds: float, metrics: dict[str, float], **counts: int) -> Lineage:
        """`counts`: the tokens or pictures that were trained on."""
        return Lineage(
            stage=self.name,
            parent=Path(self.parent).name if self.parent_digest else self.parent,
            parent_sha256=self.parent_digest,
            recipe=self.recipe.name,
            sources=sources,
            seed=self.recipe.seed,
            versions=versions(),
            seconds=round(seconds, 1),
            metrics=metrics,
            **counts,
        )

    def place(self, lineage: Lineage) -> None:
        """Put the checked result in its place at once."""
        finished = self.folder / "model"
        finish_model_folder(finished, lineage, self.output.name)
        self.check(finished)
        replace_folder(self.output, finished)

    def publish(self, lineage: Lineage) -> None:
        """Put the result in its place, then say so; data and checkpoints are not needed any more."""
        self.place(lineage)
        stamp = {"inputs": self.inputs, "sha256": folder_digest(self.output)}
        write_whole(self.folder / "stamp.json", json.dumps(stamp))
        for leftover in ("data", "sample", "checkpoints"):
            shutil.rmtree(self.folder / leftover, ignore_errors=True)
        metrics = "".join(f"  {name.replace('_', ' ')} {value:.3f}" for name, value in lineage.metrics.items())
        print(f"{self.name}  done: {self.output}{metrics}", flush=True)

    def is_trained(self, result: Path) -> bool:
        """Whether only publishing is left."""
        return result.exists() and (self.folder / "model").is_dir()


class TrainerStage(Stage):
    """A stage whose ranks run transformers' Trainer for a number of steps that its budget fixes."""

    tokenizer: Path
    base: str | None = None
    reward_model: str | None = None
    fewest_rows: ClassVar[int] = 1
    """How many rows of a batch a process must have."""

    @abstractmethod
    def parameters(self) -> int:
        """How many parameters the model has, about."""

    @abstractmethod
    def compiled(self, layout: Layout) -> bool:
        """Whether compiling pays."""

    def write_data(self, steps: int, name: str) -> None:
        """Prepare what the ranks read for `steps` steps, in the folder `name`."""

    def layout(self) -> Layout:
        section = self.section
        return layout_for(section.rows_per_batch, self.parameters(), section.processes, self.fewest_rows)

    def train(self, layout: Layout, steps: int) -> Result:
        """Train, unless that is done, and return what the ranks report."""
        job = self.job(layout, steps, self.compiled(layout))
        if not self.is_trained(job.result):
            run_ranks(self.module, job.write(), layout)
        return Result.model_validate_json(job.result.read_text())

    def job(self, layout: Layout, steps: int, compiled: bool, measuring: bool = False) -> Job:
        return Job(
            recipe=self.recipe,
            stage=self.name,
            folder=self.folder,
            tokenizer=self.tokenizer,
            base=self.base,
            reward_model=self.reward_model,
            steps=steps,
            layout=layout,
            compiled=compiled,
            measuring=measuring,
        )

    def steps(self, layout: Layout) -> int:
        """The number of optimizer steps, fixed when first asked for."""
        budget = self.section.parsed_budget()
        if budget.amount is not None:
            return budget.steps(self.section.per_step, None)
        fixed = self.folder / "steps.json"
        if not fixed.exists():
            speed = self.measure(layout, self.compiled(layout)).per_second
            write_whole(fixed, json.dumps({"steps": budget.steps(self.section.per_step, speed), "per_second": speed}))
        return json.loads(fixed.read_text())["steps"]

    def measure(self, layout: Layout, compiled: bool) -> Result:
        """How fast this machine trains on a sample of the stage's own data."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_data(SAMPLED_STEPS, "sample")
        job = self.job(layout, SAMPLED_STEPS, compiled, measuring=True)
        run_ranks(self.module, job.write(), layout)
        return Result.model_validate_json(job.result.read_text())


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
