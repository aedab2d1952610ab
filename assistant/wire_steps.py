"""What the agent tells besides text, as the model `assistant` sends it in its stream to whoever asks for it."""

from dataclasses import asdict

from assistant.events import Forgot, Told, ToolCall, ToolProgress, ToolStep

# Who sends it as 1 is told of steps, and gets the pictures with them instead of in the text.
HEADER = "x-homegrown-steps"
FIELD = "homegrown"
KINDS = {"tool_call": ToolCall, "tool_progress": ToolProgress, "tool_step": ToolStep, "forgot": Forgot}


def to_wire(event: Told) -> dict | None:
    """The event as JSON; None for what has a form in OpenAI's stream, or none."""
    kind = next((kind for kind, of in KINDS.items() if isinstance(event, of)), None)
    return kind and {"type": kind, **asdict(event)}


def from_wire(told: dict) -> Told:
    """The event again."""
    return KINDS[told["type"]](**{name: value for name, value in told.items() if name != "type"})
