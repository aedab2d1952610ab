"""How long a stage trains: `12M tokens`, or a time, `6m` or `90s`.

A time becomes a number of steps once, by measuring this machine, and stays in the run folder: a resumed run never
measures again, so that it ends where the uninterrupted one would have.
"""

import re
from dataclasses import dataclass

UNITS = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}
SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Budget:
    """Exactly one of `tokens` and `seconds` is set."""

    tokens: int | None = None
    seconds: float | None = None

    def steps(self, batch_tokens: int, tokens_per_second: float | None) -> int:
        """Optimizer steps of `batch_tokens` each, at least one; `tokens_per_second` is only needed for a time."""
        tokens = self.tokens if self.tokens is not None else self.seconds * tokens_per_second
        return max(1, round(tokens / batch_tokens))


def parse_budget(text: str) -> Budget:
    """The budget written as `12M tokens`, `6m` or `90s`. Raises `ValueError` with a sentence for people."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMB]?)\s*tokens|([smh]))\s*", text)
    if not match or not float(match[1]):
        raise ValueError(f"{text!r} is no budget: write tokens (`12M tokens`) or a time (`6m`, `90s`)")
    if match[3]:
        return Budget(seconds=float(match[1]) * SECONDS[match[3]])
    return Budget(tokens=round(float(match[1]) * UNITS[match[2]]))
