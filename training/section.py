"""What the sections of a recipe have in common."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from training.budget import Budget, parse_budget
from training.corpus.spec import check_axes


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraSection(Section):
    """Small trained matrices beside frozen ones (Hu et al. 2021, arXiv:2106.09685)."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    dora: bool = Field(default=False, description="sizes and directions apart (Liu et al. 2024, arXiv:2402.09353)")
    quantised: Literal["nf4"] | None = Field(
        default=None, description="hold the frozen weights in 4 bits (QLoRA, Dettmers et al. 2023, arXiv:2305.14314)"
    )
    embeddings: Literal["adapter", "whole"] | None = Field(
        default=None, description="train the embedding too: by an adapter (in sft), or every row, and a head apart"
    )
    optimizer: Literal["adamw", "muon"] = Field(  # left out where it is the default: adapters from before stay valid
        default="adamw",
        exclude_if=lambda name: name == "adamw",
        description="of the adapters, in sft: adamw at embedding_learning_rate, or muon at learning_rate",
    )
    merge: bool = Field(
        default=True, description="work them into the weights; false: leave an adapter, served beside its base"
    )

    @model_validator(mode="after")
    def _servable(self) -> "LoraSection":
        if self.dora and not self.merge:
            raise ValueError("no engine serves an adapter of DoRA: leave out dora, or merge: false")
        if self.dora and self.embeddings == "adapter":
            raise ValueError("DoRA adapts no embedding: leave out dora, or say embeddings: whole")
        if self.embeddings and not self.merge:
            raise ValueError("no engine serves an adapter with an embedding: leave out embeddings, or merge: false")
        return self


def lora_flag(value: Any) -> Any:
    """`lora: true` takes the defaults."""
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


class PrivacySection(Section):
    """DP-SGD (Abadi et al. 2016, arXiv:1607.00133): how little any single document may change the result.

    Either what may be spent in all (`epsilon`) or how much noise there is, and the other follows.
    """

    epsilon: float | None = Field(default=None, gt=0)
    noise: float | None = Field(default=None, gt=0, description="its standard deviation, over clip")
    clip: float = Field(default=1.0, gt=0, description="the largest norm that the gradient of a document may have")
    delta: float | None = Field(default=None, gt=0, lt=1, description="default: a tenth of one over the documents")

    @model_validator(mode="after")
    def _either(self) -> "PrivacySection":
        if (self.epsilon is None) == (self.noise is None):
            raise ValueError("name either epsilon or noise")
        return self


class FairnessSection(Section):
    """A loss term on pairs of documents that differ in nothing but the group (counterfactual logit pairing).

    Garg et al. 2019, arXiv:1809.10610. The pairs are made of the documents of the stage that name a group.
    """

    axes: list[str] = Field(min_length=1, description="gender, religion ...: the axes of prompts/probes/swaps.yaml")
    weight: float = Field(default=1.0, gt=0, description="of the squared difference of the answers' likelihoods")
    batch: int = Field(default=8, ge=1, description="pairs of one optimizer step, of each process")
    pairs: int = Field(default=2000, ge=1, description="at most")

    @field_validator("axes")
    @classmethod
    def _known_axes(cls, axes: list[str]) -> list[str]:
        return check_axes(axes)


class OptimizedSection(Section):
    """The dials of every stage on the Trainer. `per_step` tokens or images make one optimizer step."""

    unit: ClassVar[str] = "tokens"

    budget: str
    learning_rate: float = Field(default=4e-3, gt=0, description="of Muon, for the matrices of the layers")
    embedding_learning_rate: float = Field(default=4e-3, gt=0, description="of AdamW, for everything else")
    weight_decay: float = Field(default=0.1, ge=0, description="of the matrices")
    warmup_steps: int = Field(default=50, ge=0)
    decay: float = Field(default=0.4, ge=0, le=1, description="last share of the steps in which the rates fall to 0")
    clip: float = Field(default=1.0, gt=0)
    checkpoint_every: int = Field(default=200, ge=1, description="steps")
    compile: Literal["auto"] | bool = "auto"
    processes: Literal["auto"] | int = Field(default="auto", description="at most; auto: by cores or GPUs")
    report_to: list[Literal["tensorboard", "wandb"]] = ["tensorboard"]

    @field_validator("budget")
    @classmethod
    def _sound_budget(cls, text: str) -> str:
        parse_budget(text, cls.unit)
        return text

    @field_validator("processes")
    @classmethod
    def _some_process(cls, processes: str | int) -> str | int:
        if processes != "auto" and processes < 1:
            raise ValueError("name 1 process or more, or `auto`")
        return processes

    def parsed_budget(self) -> Budget:
        return parse_budget(self.budget, self.unit)
