"""A recipe: one YAML file that says everything about how an assistant is grown."""

import difflib
import operator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from prompts.library import TOOL_NAMES, persona
from serving.errors import UserError
from training.alignment import section as alignment
from training.corpus.sources import SourceSpec
from training.images.section import ImagesSection, PictureSource
from training.mixing import ENDLESS
from training.section import FairnessSection, LoraSection, OptimizedSection, PrivacySection, Section, lora_flag

FOLDER = Path(__file__).parent / "recipes"


def _weighted(sources: list[SourceSpec]) -> list[SourceSpec]:
    if not sources:
        raise ValueError("no source is named")
    if sum(source.weight for source in sources) <= 0:
        raise ValueError("the weights sum to zero")
    return sources


Sources = Annotated[list[SourceSpec], AfterValidator(_weighted)]


class ModelSection(Section):
    """The architecture. `depth` alone sizes it (see `training.model.shape_of`); the rest overrides single numbers."""

    depth: int = Field(default=4, ge=1)
    context: int = Field(default=2048, ge=64)
    hidden: int | None = Field(default=None, ge=32)
    heads: int | None = Field(default=None, ge=1)
    kv_heads: int | None = Field(default=None, ge=1)
    head_dim: int | None = Field(default=None, ge=16)
    ffn: int | None = Field(default=None, ge=32)
    rope_theta: float = Field(default=10_000.0, gt=0)
    tie_embeddings: bool = True
    saved_as: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _buildable(self) -> "ModelSection":
        from training.shape import shape_of  # which knows this section

        shape = shape_of(self)
        heads, kv_heads, head_dim = (shape[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        if heads % kv_heads:
            fitting = ", ".join(str(number) for number in range(1, heads + 1) if heads % number == 0)
            raise ValueError(f"kv_heads ({kv_heads}) must divide the {heads} heads: name one of {fitting}")
        if head_dim % 2:
            raise ValueError(f"head_dim ({head_dim}) is odd, and positions turn pairs of numbers: name an even one")
        return self


class TokenizerSection(Section):
    vocabulary: int = Field(default=2048, ge=320)
    documents: int = Field(default=60_000, ge=1, description="documents read at most")
    sources: Sources


class PhaseSection(Section):
    """A stretch of training with its own mixture; `share` is its part of the stage's steps."""

    share: float = Field(default=1.0, gt=0)
    sources: Sources


class TrainingSection(OptimizedSection):
    """The dials that pretraining and fine-tuning share. Weights of sources are shares of tokens."""

    phases: list[PhaseSection] = Field(min_length=1)
    batch_tokens: int = Field(default=4096, ge=64, description="tokens of one optimizer step, all processes together")
    row: int = Field(ge=32, description="tokens of one packed row")
    validation_tokens: int = Field(default=32_768, ge=0, description="held-out tokens; 0: no validation")
    persona: bool = Field(description="whether chat documents carry the system prompt and their tool list")
    share_forms: bool = Field(default=False, description="word, Word and word behind a blank learn from one another")
    answers_only: bool = Field(default=True, description="in chat, only what the assistant says counts in the loss")

    @model_validator(mode="before")
    @classmethod
    def _one_phase(cls, values: Any) -> Any:
        """`sources` alone is short for one phase."""
        if isinstance(values, dict) and "sources" in values:
            if "phases" in values:
                raise ValueError("sources and phases exclude each other")
            values = dict(values)
            values["phases"] = [{"sources": values.pop("sources")}]
        return values

    @model_validator(mode="after")
    def _whole_rows(self) -> "TrainingSection":
        if self.batch_tokens % self.row:
            raise ValueError(f"batch_tokens ({self.batch_tokens}) is no multiple of row ({self.row})")
        return self

    @property
    def sources(self) -> list[SourceSpec]:
        """Those of all phases; one that several phases have comes several times."""
        return [source for phase in self.phases for source in phase.sources]

    @property
    def rows_per_batch(self) -> int:
        return self.batch_tokens // self.row

    @property
    def per_step(self) -> int:
        return self.batch_tokens


class PretrainSection(TrainingSection):
    row: int = Field(default=128, ge=32)
    persona: bool = False


class SftSection(TrainingSection):
    row: int = Field(default=512, ge=32)
    persona: bool = True
    decay: float = Field(default=1.0, ge=0, le=1)
    warmup_steps: int = Field(default=20, ge=0)
    base: str | None = Field(default=None, description="folder, name or Hugging Face id; default: this recipe's base")
    lora: LoraSection | None = None
    # Both are left out where there is none: models fine-tuned before there was any stay what they are.
    fairness: FairnessSection | None = Field(default=None, exclude_if=operator.not_)
    privacy: PrivacySection | None = Field(default=None, exclude_if=operator.not_, description="needs lora")

    _flag = field_validator("lora", mode="before")(lora_flag)

    @model_validator(mode="after")
    def _private(self) -> "SftSection":
        if self.privacy is None:
            return self
        lora = self.lora
        plain = lora and not (lora.dora or lora.quantised or lora.embeddings or lora.optimizer == "muon")
        if not plain or self.fairness or self.share_forms:
            raise ValueError(
                "privacy goes with plain lora alone: no dora, quantised, embeddings, muon, fairness or share_forms"
            )
        if len(self.phases) > 1 or any(of.name in (*ENDLESS, "copies") for of in self.phases[0].sources):
            raise ValueError("privacy counts documents: name files or data sets, in one list of sources")
        return self


class EmbedderSection(Section):
    """A yardstick of meaning, grown from neighbouring sentences of the sources and from wordings of the almanac."""

    sources: Sources
    pairs: int = Field(default=150_000, ge=100, description="pairs of texts at most")
    wordings: float = Field(default=0.0, ge=0, le=1, description="share of pairs: two wordings of one almanac fact")
    vocabulary: int = Field(default=24_000, ge=320)
    dimensions: int = Field(default=256, ge=8)
    epochs: int = Field(default=2, ge=1)
    batch: int = Field(default=512, ge=2, description="pairs; each has all others of its batch as negatives")
    temperature: float = Field(default=0.05, gt=0)
    learning_rate: float = Field(default=2e-2, gt=0, description="of Adam; it falls to 0")
    # Left out where it does nothing: embedders grown before there was one stay what they are.
    smoothing: float = Field(
        default=0.0,
        ge=0,
        exclude_if=operator.not_,
        description="a: a token whose share of all is p weighs a / (a + p) in the end; 0: all weigh the same",
    )


class Dress(Section):
    """What is put around conversations: a system prompt where they have none, the tools where they name none."""

    system: str | None = None
    tools: list[str] | None = None
    """None: whatever a conversation itself says is left out too."""


class Recipe(Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    seed: int = Field(default=0, ge=0)
    base: str | None = Field(default=None, description="folder, name or Hugging Face id of a model to go on from")
    persona: str | None = Field(default="almanac", description="a file of prompts/personas; null: no system prompt")
    tools: list[str] = Field(default=list(TOOL_NAMES), description="offered where a conversation names none itself")
    model: ModelSection = Field(default_factory=ModelSection)
    tokenizer: TokenizerSection | None = None
    pretrain: PretrainSection | None = None
    sft: SftSection | None = None
    embedder: EmbedderSection | None = None
    reward: alignment.RewardSection | None = None
    dpo: alignment.DpoSection | None = None
    kto: alignment.KtoSection | None = None
    rloo: alignment.RlooSection | None = None
    grpo: alignment.GrpoSection | None = None
    distil: alignment.DistilSection | None = None
    images: ImagesSection | None = None

    @field_validator("tools")
    @classmethod
    def _known_tools(cls, names: list[str]) -> list[str]:
        if unknown := set(names) - set(TOOL_NAMES):
            raise ValueError(f"no tool is called {', '.join(sorted(unknown))}")
        return names

    @field_validator("persona")
    @classmethod
    def _known_persona(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                persona(name)
            except FileNotFoundError:
                raise ValueError(f"no persona is called {name!r}") from None
        return name

    @model_validator(mode="after")
    def _complete(self) -> "Recipe":
        if self.pretrain and not self.tokenizer:
            raise ValueError("pretrain needs a section tokenizer")
        if self.base and self.pretrain:
            raise ValueError("base and pretrain exclude each other")
        if self.sft and not (self.sft.base or self.base or self.pretrain):
            raise ValueError("sft needs a section pretrain, or a base, such as `--set base=Qwen/Qwen3-0.6B`")
        if self.pretrain and max(self.pretrain.row, self.sft.row if self.sft else 0) > self.model.context:
            raise ValueError("a row is longer than model.context")
        if self.images and (self.tokenizer or self.pretrain or self.sft or self.embedder):
            raise ValueError("an image model has a recipe of its own: move images to another file")
        return self

    @model_validator(mode="after")
    def _room(self) -> "Recipe":
        """A model that is grown here knows as many positions as its alignment shows it."""
        is_grown = self.pretrain and not (self.sft and self.sft.base)
        aligned = [(name, of) for name, of in self if isinstance(of, alignment.AlignmentSection) and not of.base]
        for name, section in aligned if is_grown else ():
            if section.context > self.model.context:
                raise ValueError(f"{name}.context ({section.context}) is larger than model.context: lower it")
        return self

    def dress(self, section: TrainingSection) -> Dress:
        """What the chat documents of a stage are dressed in."""
        return self.chat_dress() if section.persona else Dress()

    def chat_dress(self) -> Dress:
        """What conversations are dressed in where the model is served."""
        return Dress(system=persona(self.persona) if self.persona else None, tools=self.tools)


def load_recipe(name: str, overrides: list[str] = ()) -> Recipe:
    """The recipe called `name` in training/recipes, or the YAML file at that path, with `a.b=value` overrides on top.

    Raises `UserError` naming the key at fault.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UserError(f"There is no recipe {name}: name one of {known}, or a YAML file.")
    try:
        values = _unshared(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML file ({' '.join(str(error).split())}).") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no recipe: it must be a mapping with the keys of training/recipes/tiny.yaml.")
    values.setdefault("name", path.stem)
    for override in overrides:
        _override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problem = _first_problem(error)
        raise UserError(f"{path}: {problem}{'' if problem.endswith('?') else '.'}") from None


def _unshared(value: Any) -> Any:
    """A copy in which what YAML's aliases share is there twice, so that changing one section leaves the others."""
    if isinstance(value, dict):
        return {key: _unshared(of) for key, of in value.items()}
    return [_unshared(of) for of in value] if isinstance(value, list) else value


def _override(values: dict, override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise UserError(f"--set {override} is not understood: write it as a.b=value.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {override}: the value is no YAML.") from None
    *parents, last = key.split(".")
    place: Any = values
    for parent in parents:
        place = _child(place, parent, override)
    if isinstance(place, list):
        _child(place, last, override)
        place[int(last)] = value
    else:
        place[last] = value


def _child(place: Any, key: str, override: str) -> Any:
    """What is under `key` (of a list, a number), made when missing, so that an unknown key is the recipe's error."""
    if isinstance(place, list):
        if not key.isdecimal() or int(key) >= len(place):
            raise UserError(f"--set {override}: {key} is no place in a list of {len(place)}.")
        return place[int(key)]
    if place.get(key) is None:
        place[key] = {}
    if not isinstance(place[key], (dict, list)):
        raise UserError(f"--set {override}: {key} holds a single value.")
    return place[key]


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the recipe"
    if first["type"] == "extra_forbidden":
        return f"{where} is an unknown key{_meant(first['loc'])}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], (dict, list)) else f" (given: {first['input']!r})"
    return f"{where}: {message[:1].lower()}{message[1:]}{given}"


def _meant(location: tuple) -> str:
    """The known key nearest to the unknown one."""
    keys = {key for section in _sections() for key in section.model_fields} | {"sources"}
    near = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sections() -> list[type[BaseModel]]:
    training = [TokenizerSection, PhaseSection, PretrainSection, SftSection, EmbedderSection]
    parts = [LoraSection, FairnessSection, PrivacySection]
    alignments = [*alignment.SECTIONS, alignment.PreferenceSource]
    return [Recipe, ModelSection, *training, *parts, SourceSpec, *alignments, ImagesSection, PictureSource]
