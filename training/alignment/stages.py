"""The stages that align a model: what each reads, and where its result goes."""

import time
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from eval.scores.score import find_score
from serving.errors import UserError
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
from training.text_stages import (
    ALMANAC,
    SftStage,
    TextStage,
    check_positions,
    fingerprint,
    name_unusable,
    offered,
    parent_or_grown,
    trainable_tokenizer,
)


class AlignmentStage(TextStage, TrainerStage):
    """Starts from a model that converses. Its reference model, where it has one, is that model's folder."""

    shape: ClassVar[str]

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / f"{recipe.name}-{cls.name}"

    @classmethod
    def look_ahead(cls, recipe: Recipe) -> None:
        super().look_ahead(recipe)
        section = getattr(recipe, cls.name)
        for source in section.sources:
            if source.name != "almanac" and not locate(source.name):
                raise UserError(f"{cls.name}.sources: {source.name} is no file here: name a JSONL file of examples.")
        if not (section.base or recipe.base or recipe.sft):
            cls._parent_in(recipe)

    def find_parent(self) -> str:
        return self._parent_in(self.recipe)

    @classmethod
    def _parent_in(cls, recipe: Recipe) -> str:
        base = getattr(recipe, cls.name).base or (None if recipe.sft else recipe.base)
        return parent_or_grown(base, SftStage, recipe, f"name a base, such as `--set {cls.name}.base=almanac`")

    @property
    def base(self) -> str:
        return self.parent

    def further_inputs(self) -> dict:
        dress = self.recipe.chat_dress()
        return {
            "sources": {source.name: _fingerprint(source) for source in self.section.sources},
            "model": self.recipe.model.saved_as,
            "dress": dress.model_dump(),
            "parent": self.parent_digest or self.parent,
        } | offered(dress)

    def grow(self) -> Lineage:
        check_positions(self.parent, f"{self.name}.context", self.section.context)
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
    fewest_rows = 2  # its KL divergence is estimated from answers to each other's prompts


class OnlineStage(AlignmentStage):
    """A model that learnt from rewards for its own answers."""

    module = "training.alignment.online"

    @classmethod
    def look_ahead(cls, recipe: Recipe) -> None:
        super().look_ahead(recipe)
        section = getattr(recipe, cls.name)
        for name in [*(name for name in section.rewards if name != LEARNED), *section.quality]:
            find_score(name)
        if not recipe.reward:
            cls._reward_model_in(recipe)

    @property
    def shape(self) -> str:
        return "answered" if self.section.sft else "prompt"

    def further_inputs(self) -> dict:
        digest = folder_digest(Path(self.reward_model)) if self.reward_model else None
        return super().further_inputs() | {"reward_model": digest}

    @cached_property
    def reward_model(self) -> str | None:
        """The folder of the model that rewards; None where scores alone do."""
        return self._reward_model_in(self.recipe)

    @classmethod
    def _reward_model_in(cls, recipe: Recipe) -> str | None:
        section = getattr(recipe, cls.name)
        if LEARNED not in section.rewards:
            return None
        if section.reward_model:
            return resolve_model(section.reward_model)
        return parent_or_grown(
            None, RewardStage, recipe, f"name a reward model, such as `--set {cls.name}.reward_model=FOLDER`"
        )


class RlooStage(OnlineStage):
    name = "rloo"


class GrpoStage(OnlineStage):
    name = "grpo"


class DistilStage(AlignmentStage):
    """A model that answers without a prompt as it did with one."""

    name, module, shape = "distil", "training.alignment.distil", "prompt"

    @classmethod
    def look_ahead(cls, recipe: Recipe) -> None:
        super().look_ahead(recipe)
        read_teacher(recipe.distil.teacher)
        if recipe.distil.score:
            find_score(recipe.distil.score)

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
