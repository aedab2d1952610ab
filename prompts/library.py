"""Every prompt of the project is a file in this folder; this module finds and reads them."""

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
TOOL_NAMES = ("generate_image", "calculate", "now", "search_documents")


@cache
def chat_template() -> str:
    """The Jinja source of the one chat template, with `{% generation %}` marks around what the assistant says."""
    return (FOLDER / "chat" / "template.jinja").read_text(encoding="utf-8")


@cache
def persona(name: str = "almanac") -> str:
    """The system prompt called `name`, without its final line break.

    Raises `FileNotFoundError` when there is no such persona.
    """
    return (FOLDER / "personas" / f"{name}.md").read_text(encoding="utf-8").strip()


@cache
def probe(name: str) -> str:
    """The wording in which the questions of `probes/<name>` are asked, with {fields} to fill in."""
    return (FOLDER / "probes" / f"{name}.md").read_text(encoding="utf-8").strip()


def tool_schemas(names: tuple[str, ...] = TOOL_NAMES) -> list[dict]:
    """OpenAI function schemas of the named tools, in the order given."""
    return [json.loads((FOLDER / "tools" / f"{name}.json").read_text(encoding="utf-8")) for name in names]
