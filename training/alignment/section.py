"""The sections of a recipe that align a model with what is preferred: reward, dpo, kto, rloo, grpo, distil."""

import operator
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from training.section import LoraSection, OptimizedSection, Section, lora_flag

LEARNED = "learned"
"""The name of the reward that a reward model gives; every other name is a score of `eval.scores`."""


class PreferenceSource(Section):
    """Where examples come from: the almanac's generator, or a JSONL file in one of TRL's preference shapes."""

    name: str = Field(description="almanac, or a JSONL file, here or under HOMEGROWN_DATA")
    weight: float = Field(default=1.0, gt=0)
    noise: float = Field(default=0.0, ge=0, lt=0.5, description="share of training pairs whose sides are exchanged")
    kinds: dict[str, float] | None = Field(
        default=None, exclude_if=operator.not_, description="of the almanac: share of each kind of pair, such as honest"
    )
    licence: str | None = None


class AlignmentSection(OptimizedSection):
    """The dials that every method shares. An example is a preference pair, an answer with a thumb, or a prompt."""

    unit: ClassVar[str] = "examples"

    sources: list[PreferenceSource] = Field(min_length=1)
    base: str | None = Field(default=None, description="folder, name or Hugging Face id; default: what sft made")
    batch: int = Field(default=64, ge=2, description="examples of one optimizer step, all processes together")
    held_out: int = Field(default=512, ge=0, description="examples kept for validation")
    answer_tokens: int = Field(default=96, ge=1, description="longest answer; longer ones are left out")
    context: int = Field(default=512, ge=16, description="tokens of a prompt and its answer; longer ones are left out")
    learning_rate: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=10, ge=0)
    decay: float = Field(default=1.0, ge=0, le=1)
    optimizer: Literal["adamw", "adamw_8bit"] = Field(default="adamw", description="adamw_8bit: bitsandbytes")
    lora: LoraSection | None = None

    _flag = field_validator("lora", mode="before")(lora_flag)

    @model_validator(mode="after")
    def _plain_adapters(self) -> "AlignmentSection":
        if self.lora and self.lora.embeddings == "adapter":
            raise ValueError("only sft adapts the embedding: say embeddings: whole")
        if self.lora and self.lora.optimizer == "muon":
            raise ValueError("only sft trains adapters with muon: leave out lora.optimizer")
        return self

    @property
    def rows_per_batch(self) -> int:
        return self.batch

    @property
    def per_step(self) -> int:
        return self.batch


class RewardSection(AlignmentSection):
    """A reward model (Bradley-Terry): a number for an answer, higher for the one of a pair that is preferred."""

    centre: float = Field(default=0.01, ge=0, description="pulls the mean of the rewards towards 0")

    @model_validator(mode="after")
    def _whole(self) -> "RewardSection":
        if self.lora and not self.lora.merge:
            raise ValueError("a reward model is used whole: leave out lora.merge")
        return self


class DpoSection(AlignmentSection):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290).

    It may make both answers less likely: `sft` holds on to the better one (Pang et al. 2024, arXiv:2404.19733).
    """

    learning_rate: float = Field(default=5e-5, gt=0)
    beta: float = Field(default=0.1, gt=0, description="how dearly distance from the reference model is paid for")
    # Left out where it does nothing: models aligned before there was one stay what they are.
    sft: float = Field(default=0.0, ge=0, exclude_if=operator.not_, description="weight of the chosen answer's loss")


class KtoSection(AlignmentSection):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv:2402.01306): single answers, good or bad."""

    learning_rate: float = Field(default=5e-5, gt=0)
    beta: float = Field(default=0.1, gt=0, description="how dearly distance from the reference model is paid for")


class OnlineSection(AlignmentSection):
    """Reinforcement learning: the model answers prompts several times, and learns from how its answers are rewarded.

    `batch` counts answers, `generations` of them to each prompt. What the prompts do not touch may be forgotten: `sft`
    holds on to the answers that the sources prefer, as InstructGPT to texts (Ouyang et al. 2022, arXiv:2203.02155).
    """

    rewards: dict[str, float] = Field(default={LEARNED: 1.0}, description="name -> weight; learned, or a score's name")
    reward_model: str | None = Field(default=None, description="folder; default: what this recipe's reward made")
    generations: int = Field(default=8, ge=2, description="answers to one prompt")
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.05, ge=0, description="weight of the KL divergence from the reference model")
    sft: float = Field(default=0.0, ge=0, exclude_if=operator.not_, description="weight of the given answers' loss")
    engine: Literal["transformers", "vllm_colocate", "vllm_server"] = Field(
        default="transformers", description="what generates; vLLM needs a GPU"
    )
    tried: int = Field(default=0, ge=0, description="prompts to try first, to learn from those with unequal answers")
    trials: int = Field(default=4, ge=2, description="answers to a prompt that is tried")
    quality: list[str] = Field(default=[], description="scores of held-out answers; when they fall, training stops")
    check_every: int = Field(default=20, ge=1, description="steps between two looks at that quality")
    tolerance: float = Field(default=0.02, ge=0, description="how far below its best is still good")
    patience: int = Field(default=3, ge=1, description="looks in a row below that before training stops")

    @model_validator(mode="after")
    def _whole_groups(self) -> "OnlineSection":
        if self.batch % self.generations:
            raise ValueError(f"batch ({self.batch}) is no multiple of generations ({self.generations})")
        if not self.rewards:
            raise ValueError("rewards: no reward is named")
        if self.tried and not set(self.rewards) - {LEARNED}:
            raise ValueError("tried: a learned reward is never twice the same, so name a score among the rewards too")
        return self


class RlooSection(OnlineSection):
    """REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv:2402.14740)."""


class GrpoSection(OnlineSection):
    """Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300)."""

    beta: float = Field(default=0.04, ge=0, description="weight of the KL divergence from the reference model")


class DistilSection(AlignmentSection):
    """Context distillation (Snell et al. 2022, arXiv:2209.15189): what a prompt does is trained into the weights.

    The teacher is the base model with the prompt, the student the same model without it, dressed as it is served.
    """

    teacher: str = Field(description="its prompt: a persona, a technique, or a text file with a system prompt")
    temperature: float = Field(default=1.0, gt=0, description="at which the teacher draws the answers")
    score: str | None = Field(default=None, description="of held-out answers: how much of the prompt's gain stays")


SECTIONS = (RewardSection, DpoSection, KtoSection, RlooSection, GrpoSection, DistilSection)
