"""Every prompt of the project is a file in this folder; this module finds and reads them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
TOOL_NAMES = ("generate_image", "calculate", "now", "search_documents")


@cache
def chat_template() -> str:
    """The Jinja source of the one chat template, with `{% generation %}` marks around what the assistant says."""
    return (FOLDER / "chat" / "template.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Persona:
    """A character that a person may choose for the assistant."""

    id: str
    title: str
    about: str


@cache
def persona(name: str = "almanac") -> str:
    """The system prompt called `name`, without its final line break.

    Raises `FileNotFoundError` when there is no such persona.
    """
    return _persona_file(name)[1]


@cache
def personas() -> tuple[Persona, ...]:
    """Those to choose from: their files begin with a title and what they are good for, between lines of dashes."""
    heads = {path.stem: _persona_file(path.stem)[0] for path in sorted((FOLDER / "personas").glob("*.md"))}
    return tuple(Persona(name, head["title"], head["about"]) for name, head in heads.items() if head)


def _persona_file(name: str) -> tuple[dict[str, str], str]:
    """What stands between dashes at its beginning, as "key: value" lines, and the system prompt."""
    text = (FOLDER / "personas" / f"{name}.md").read_text(encoding="utf-8").strip()
    if not text.startswith("---\n"):
        return {}, text
    _, head, prompt = text.split("---\n", 2)
    return dict(line.split(": ", 1) for line in head.strip().split("\n")), prompt.strip()


@cache
def probe(name: str) -> str:
    """The wording in which the questions of `probes/<name>` are asked, with {fields} to fill in."""
    return (FOLDER / "probes" / f"{name}.md").read_text(encoding="utf-8").strip()


def tool_schemas(names: tuple[str, ...] = TOOL_NAMES) -> list[dict]:
    """OpenAI function schemas of the named tools, in the order given."""
    return [json.loads((FOLDER / "tools" / f"{name}.json").read_text(encoding="utf-8")) for name in names]
