"""What the sections of a recipe have in common."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from training.budget import Budget, parse_budget


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


def lora_flag(value: Any) -> Any:
    """`lora: true` takes the defaults."""
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


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
    processes: Literal["auto"] | int = "auto"
    report_to: list[Literal["tensorboard", "wandb"]] = ["tensorboard"]

    @field_validator("budget")
    @classmethod
    def _sound_budget(cls, text: str) -> str:
        parse_budget(text, cls.unit)
        return text

    def parsed_budget(self) -> Budget:
        return parse_budget(self.budget, self.unit)
