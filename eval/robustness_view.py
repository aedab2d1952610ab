"""Questions by variants, as a heat map shows them: what was answered, and whether that was right."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from eval.records import Record
from eval.replies import Answer


class Cell(NamedTuple):
    """One answer: `value` by the score, 1 good and 0 bad; None, with the error as text, where there is none."""

    value: float | None
    text: str


class Row(NamedTuple):
    """One question as it was asked originally, with its cells by variant ("" is the original)."""

    question: str
    cells: dict[str, Cell]


def grid(records: Sequence[Record], score: str = "right") -> list[Row]:
    """A row for each question that has this score, the worst first, those without any answer last; variants by name."""
    rows: dict[str, Row] = {}
    for record in sorted(records, key=lambda record: record.variant):
        if record.repeat == 0 and (record.status == "error" or score in record.scores):
            row = rows.setdefault(record.id, Row(str(record.sample.get("question", record.id)), {}))
            row.cells[record.variant] = _cell(record, score)
    return sorted(rows.values(), key=_mean)


def _cell(record: Record, score: str) -> Cell:
    if record.status == "error":
        return Cell(None, str(record.error))
    value = record.scores[score]
    said = record.reply.text if isinstance(record.reply, Answer) else str(record.scores.get("option_taken", ""))
    return Cell(None if value is None else float(value), said)


def _mean(row: Row) -> float:
    values = [cell.value for cell in row.cells.values() if cell.value is not None]
    return sum(values) / len(values) if values else inf
