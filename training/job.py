"""What the ranks of a stage are told: one JSON file."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.corpus.sources import SourceReport
from training.launch import Layout
from training.recipe import EmbedderSection, Recipe
from training.section import OptimizedSection


class Job(BaseModel):
    """One stage of one recipe, ready to be run by its module (`training.pretrain`, for one)."""

    model_config = ConfigDict(frozen=True)

    recipe: Recipe
    stage: str
    folder: Path
    """The stage's working folder: data/, checkpoints/, tensorboard/, and in the end model/ and result.json."""
    tokenizer: Path
    base: str | None = None
    """What is fine-tuned: a model folder or a Hugging Face id."""
    reward_model: str | None = None
    """What rewards answers in reinforcement learning: a model folder."""
    steps: int
    layout: Layout
    compiled: bool = False
    measuring: bool = False
    """Whether this is only the short run that turns a budget of minutes into steps."""

    @property
    def section(self) -> OptimizedSection:
        return getattr(self.recipe, self.stage)

    @property
    def data(self) -> Path:
        return self.folder / ("sample" if self.measuring else "data")

    @property
    def result(self) -> Path:
        return self.folder / ("measured.json" if self.measuring else "result.json")

    @property
    def saved_as(self) -> str:
        return self.recipe.model.saved_as

    @property
    def rows_per_process(self) -> int:
        return self.section.rows_per_batch // self.layout.processes

    def write(self) -> Path:
        path = self.folder / "job.json"
        path.write_text(self.model_dump_json(), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "Job":
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


class Result(BaseModel):
    """What a finished stage reports; when only measuring, nothing but the speed."""

    per_second: float
    """Tokens or images, all processes together."""
    per_cpu_second: float
    seconds: float
    metrics: dict[str, float] = {}


class EmbedderJob(BaseModel):
    """What `training.embedder` is told."""

    model_config = ConfigDict(frozen=True)

    section: EmbedderSection
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"


class EmbedderResult(BaseModel):
    """What it reports."""

    sources: list[SourceReport]
    tokens: int
    seconds: float
    metrics: dict[str, float]
