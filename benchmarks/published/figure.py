"""What a published figure is, and whether ours is the same."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One figure that a paper or a card of a data set prints, and how the files give it."""

    dataset: str
    what: str
    published: str
    """As it is printed: its digits say how exactly ours must agree."""
    source: str
    compute: Callable[[], float]
    """In the unit of `published`. Raises `eval.data.Missing` when the files are not here."""

    def shown(self, value: float) -> str:
        """`value` with as many digits as were published."""
        decimals = len(self.published.partition(".")[2])
        return f"{value:.{decimals}f}"
