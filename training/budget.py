"""How long a stage trains: `12M tokens`, `150K images`, or a time, `6m` or `90s`.

A time becomes a number of steps once, by measuring this machine, and stays in the run folder: a resumed run never
measures again, so that it ends where the uninterrupted one would have.
"""

import re
from dataclasses import dataclass

UNITS = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}
SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Budget:
    """Exactly one of `amount`, a number of tokens or images, and `seconds` is set."""

    amount: int | None = None
    seconds: float | None = None

    def steps(self, per_step: int, per_second: float | None) -> int:
        """Optimizer steps of `per_step` tokens or images, at least one; `per_second` is only needed for a time."""
        amount = self.amount if self.amount is not None else self.seconds * per_second
        return max(1, round(amount / per_step))


def parse_budget(text: str, unit: str = "tokens") -> Budget:
    """The budget written as `12M tokens`, `6m` or `90s`. Raises `ValueError` with a sentence for people."""
    match = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*(?:([KMB]?)\s*{unit}|([smh]))\s*", text)
    if not match or not float(match[1]):
        raise ValueError(f"{text!r} is no budget: write {unit} (`12M {unit}`) or a time (`6m`, `90s`)")
    if match[3]:
        return Budget(seconds=float(match[1]) * SECONDS[match[3]])
    return Budget(amount=round(float(match[1]) * UNITS[match[2]]))
