"""What a number of the harness means: every figure that is printed carries one of these."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["high", "low", ""]


@dataclass(frozen=True)
class Meaning:
    """How a number is made, who made it up, and what to beware of; one line each, printed in reports."""

    formula: str
    source: str
    caveat: str
    better: Better = "high"
    """Which end is good; "" for a description that is neither."""
    low: float | None = 0.0
    high: float | None = 1.0
    """The ends of its range; None where there is no end."""
