"""Runs a tool that the model called and says what came of it, errors included: the model reads the answer."""

import json

from assistant.tools.calculate import CalculationError, calculate
from assistant.tools.now import now

NOT_RUNNING = {
    "generate_image": "no picture engine is running",
    "search_documents": "there are no documents to search",
}


def run_tool(name: str, arguments: str) -> str:
    """The result of calling the tool `name` with a JSON object of arguments; "error: ..." when there is none."""
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        return "error: the arguments are not valid JSON"
    if name in NOT_RUNNING:
        return f"error: {NOT_RUNNING[name]}"
    if name == "now":
        return now()
    if name != "calculate":
        return f"error: there is no tool called {name[:50]}"
    if not isinstance(given, dict) or not isinstance(given.get("expression"), str):
        return "error: calculate needs an expression"
    try:
        return calculate(given["expression"])
    except CalculationError as error:
        return f"error: {error}"
