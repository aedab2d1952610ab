"""Runs a tool that the model called and says what came of it, errors included: the model reads the answer."""

from collections.abc import Awaitable, Callable

from assistant.tools.calculate import CalculationError, calculate
from assistant.tools.desk import Desk, Outcome, ToolError
from assistant.tools.generate_image import generate_image
from assistant.tools.now import now
from assistant.tools.search_documents import search_documents


async def run_tool(name: str, given: dict, desk: Desk) -> Outcome:
    """What came of calling the tool `name`; "error: ..." when nothing did."""
    tools: dict[str, Callable[[dict, Desk], Awaitable[Outcome]]] = {
        "generate_image": _generate_image,
        "calculate": _calculate,
        "now": _now,
        "search_documents": _search_documents,
    }
    try:
        if name not in tools:
            raise ToolError(f"there is no tool called {name[:50]}")
        return await tools[name](given, desk)
    except ToolError as error:
        return error.outcome()


async def _calculate(given: dict, desk: Desk) -> Outcome:
    try:
        return Outcome.of(calculate(_text(given, "calculate", "expression")))
    except CalculationError as error:
        raise ToolError(str(error)) from None


async def _now(given: dict, desk: Desk) -> Outcome:
    return Outcome.of(now())


async def _generate_image(given: dict, desk: Desk) -> Outcome:
    prompt = _text(given, "generate_image", "prompt")
    picture = await generate_image(prompt, desk.state, desk.progress)
    return Outcome("done", "done", pictures=[picture])


async def _search_documents(given: dict, desk: Desk) -> Outcome:
    return await search_documents(_text(given, "search_documents", "query"), desk)


def _text(given: dict, tool: str, name: str) -> str:
    """The argument `name`. Raises `ToolError` unless it is there and says something."""
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ToolError(f"{tool} needs {'an' if name[0] in 'aeiou' else 'a'} {name}")
    return value
