"""Questions by variants, as a heat map shows them: what was answered, and whether that was right."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

from eval.records import Record
from eval.replies import Answer, Drawn


class Cell(NamedTuple):
    """One answer: `value` by the score, 1 good and 0 bad; None, with the error as text, where there is none.

    Of a picture the text is what was seen on it.
    """

    value: float | None
    text: str
    picture: Path | None = None


class Row(NamedTuple):
    """One question as it was asked originally, with its cells by variant ("" is the original)."""

    question: str
    cells: dict[str, Cell]


def grid(records: Sequence[Record], score: str = "right") -> list[Row]:
    """A row for each question that has this score, the worst first, those without any answer last; variants by name."""
    rows: dict[str, Row] = {}
    for record in sorted(records, key=lambda record: record.variant):
        if record.repeat == 0 and (record.status == "error" or score in record.scores):
            asked = record.sample.get("question") or record.sample.get("caption", record.id)
            row = rows.setdefault(record.id, Row(str(asked), {}))
            row.cells[record.variant] = _cell(record, score)
    return sorted(rows.values(), key=_mean)


def _cell(record: Record, score: str) -> Cell:
    if record.status == "error":
        return Cell(None, str(record.error))
    value = record.scores[score]
    good = None if value is None else float(value)
    match record.reply:
        case Answer(text=said):
            return Cell(good, said)
        case Drawn(file=file):
            return Cell(good, str(record.scores.get("shown", "")), file)
    return Cell(good, str(record.scores.get("option_taken", "")))


def _mean(row: Row) -> float:
    values = [cell.value for cell in row.cells.values() if cell.value is not None]
    return sum(values) / len(values) if values else inf
