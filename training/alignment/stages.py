"""The stages that align a model: what each reads, and where its result goes."""

import time
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from serving.home import home
from serving.model_folder import Lineage, Source, check_model_folder, folder_digest, resolve_model
from training.alignment.examples import Examples
from training.alignment.section import LEARNED, PreferenceSource
from training.alignment.taught import TaughtExamples
from training.alignment.teacher import read_teacher, teacher_file
from training.corpus import preferences
from training.corpus.locations import digest_of, locate
from training.launch import Layout
from training.progress import LiveLine
from training.recipe import Recipe
from training.rendering import Renderer
from training.stage import TrainerStage, sha256
from training.text_stages import ALMANAC, SftStage, fingerprint, name_unusable, parent_or_grown, trainable_tokenizer


class AlignmentStage(TrainerStage):
    """Starts from a model that converses. Its reference model, where it has one, is that model's folder."""

    shape: ClassVar[str]

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / f"{recipe.name}-{cls.name}"

    def find_parent(self) -> str:
        base = self.section.base or (None if self.recipe.sft else self.recipe.base)
        return parent_or_grown(base, SftStage, self.recipe)

    @property
    def base(self) -> str:
        return self.parent

    def further_inputs(self) -> dict:
        return {
            "sources": {source.name: _fingerprint(source) for source in self.section.sources},
            "dress": self.recipe.chat_dress().model_dump(),
            "parent": self.parent_digest or self.parent,
        }

    def grow(self) -> Lineage:
        self.tokenizer = trainable_tokenizer(self)
        layout = self.layout()
        steps = self.steps(layout)
        self.write_data(steps, "data")
        name_unusable(self._examples.reports)
        result = self.train(layout, steps)
        sources = [
            Source(name=report.name, licence=report.licence, rows=report.rows, sha256=report.sha256)
            for report in self._examples.reports
        ]
        return self.lineage(sources, result.seconds, result.metrics, examples=steps * self.section.per_step)

    @cached_property
    def _examples(self) -> Examples:
        renderer = Renderer(self.tokenizer, self.recipe.chat_dress())
        return Examples(self.section, self.shape, renderer, self.recipe.seed)

    def write_data(self, steps: int, name: str) -> None:
        with LiveLine() as line:
            line.show(f"{self.name}  reading examples")
            started = time.monotonic()
            written = self._examples.write(self.folder / name, steps * self.section.per_step)
            line.show(
                f"{self.name}  {written.training:,} examples, {written.held_out:,} held out  "
                f"{time.monotonic() - started:.0f}s"
            )

    def parameters(self) -> int:
        """A model on the Hugging Face hub counts as large."""
        weights = [file.stat().st_size for file in Path(self.parent).glob("*.safetensors")]
        return sum(weights) // 4 or 10**9

    def compiled(self, layout: Layout) -> bool:
        return self.section.compile is True


class RewardStage(AlignmentStage):
    """A model that says how good an answer is."""

    name, module, shape = "reward", "training.alignment.reward", "preference"

    def check(self, folder: Path) -> None:
        check_model_folder(folder, chat=False)


class DpoStage(AlignmentStage):
    """A model that learnt from pairs, without a reward model."""

    name, module, shape = "dpo", "training.alignment.offline", "preference"


class KtoStage(AlignmentStage):
    """A model that learnt from single answers with a thumb."""

    name, module, shape = "kto", "training.alignment.offline", "thumb"


class OnlineStage(AlignmentStage):
    """A model that learnt from rewards for its own answers."""

    module = "training.alignment.online"

    @property
    def shape(self) -> str:
        return "answered" if self.section.sft else "prompt"

    def further_inputs(self) -> dict:
        digest = folder_digest(Path(self.reward_model)) if self.reward_model else None
        return super().further_inputs() | {"reward_model": digest}

    @cached_property
    def reward_model(self) -> str | None:
        """The folder of the model that rewards; None where scores alone do."""
        if LEARNED not in self.section.rewards:
            return None
        if self.section.reward_model:
            return resolve_model(self.section.reward_model)
        return parent_or_grown(None, RewardStage, self.recipe)


class RlooStage(OnlineStage):
    name = "rloo"


class GrpoStage(OnlineStage):
    name = "grpo"


class DistilStage(AlignmentStage):
    """A model that answers without a prompt as it did with one."""

    name, module, shape = "distil", "training.alignment.distil", "prompt"

    def further_inputs(self) -> dict:
        return super().further_inputs() | {"teacher": digest_of([teacher_file(self.section.teacher)])}

    @cached_property
    def _examples(self) -> TaughtExamples:
        renderer = Renderer(self.tokenizer, self.recipe.chat_dress())
        return TaughtExamples(self.section, renderer, self.recipe.seed, read_teacher(self.section.teacher))


ALIGNMENT_STAGES = (RewardStage, DpoStage, KtoStage, RlooStage, GrpoStage, DistilStage)


def _fingerprint(source: PreferenceSource) -> str:
    if source.name != "almanac":
        return digest_of(locate(source.name))
    folder = Path(preferences.__file__).parent
    files = [folder / name for name in ("preferences.py", "opinions.yaml")]
    return sha256(fingerprint(ALMANAC).encode() + b"".join(file.read_bytes() for file in files))
