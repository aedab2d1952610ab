"""How a model is spoken to: its system prompt, the tools it is offered, its temperature."""

from dataclasses import dataclass
from pathlib import Path

from prompts.library import FOLDER, persona, personas, tool_schemas
from serving.api.errors import ApiError
from serving.engine import Engine
from serving.home import home
from serving.model_folder import read_lineage
from serving.text_engine import TextEngine

PLAIN = "plain"


@dataclass(frozen=True)
class Voice:
    """`trained_for`: the only system prompt that the model knows, else None; `temperature` None: the model's own."""

    trained_for: str | None
    tools: tuple[dict, ...]
    temperature: float | None

    @classmethod
    def of(cls, folder: Path | None) -> "Voice":
        """The voice for the model in `folder`; None is a model that we know nothing about."""
        if folder and (folder / "lineage.json").is_file():
            recipe = read_lineage(folder).recipe or ""
            known = (FOLDER / "personas" / f"{recipe}.md").is_file()
            return cls(persona(recipe) if known else persona(), tuple(tool_schemas()), 0.0)
        knows_tools = folder is None or _template_knows_tools(folder)
        return cls(None, tuple(tool_schemas()) if knows_tools else (), None)

    @classmethod
    def behind(cls, engine: Engine) -> "Voice":
        """The voice for the model that `engine` serves; one that runs elsewhere may have been grown here."""
        own = home() / "models" / engine.model_name
        folder = engine.folder if isinstance(engine, TextEngine) else own
        return cls.of(folder if folder.is_dir() else None)

    @property
    def is_small(self) -> bool:
        """Whether it reads only what it was trained to read: one short passage, no list of them."""
        return self.trained_for is not None

    def system(self, chosen: str | None, instructions: str | None) -> str:
        """The system prompt, from the persona that was chosen and a caller's own words; trained models keep theirs.

        Raises `ApiError` 400 when there is no such persona.
        """
        if self.trained_for is not None:
            return self.trained_for
        if chosen is not None and chosen not in (known := [each.id for each in personas()]):
            message = f"There is no persona {chosen[:100]!r}: choose one of {', '.join(known)}."
            raise ApiError(400, message, param="persona", code="invalid_value")
        return "\n\n".join(part for part in (persona(chosen or PLAIN), instructions) if part)


def _template_knows_tools(folder: Path) -> bool:
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        if (folder / name).is_file():
            return "tools" in (folder / name).read_text(encoding="utf-8")
    return False
