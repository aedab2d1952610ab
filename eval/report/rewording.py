"""Does another form of a question change the answer? The map of questions by variants, and the worst in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from eval.records import Record
from eval.report import plots
from eval.report.thumbnails import thumbnail
from eval.report.words import counted
from eval.robustness_view import Cell, Row, grid
from eval.scores.refusal import refuses
from eval.task import ORIGINAL, Task

MOST_ROWS = 30
SHOWN_IN_FULL = 3
MOST_ANSWERS = 6
LONGEST_ANSWER = 240


@dataclass(frozen=True)
class Answered:
    """What was said to some forms of one question."""

    kind: plots.Cell
    text: str
    variants: Sequence[str]
    picture: str | None
    """As a data URI."""


@dataclass(frozen=True)
class Rewording:
    """One score of one task over all its variants."""

    score: str
    drawing: Markup
    caption: str
    worst: Sequence[tuple[str, Sequence[Answered]]]
    """(question, its different answers: that to the original form first, then the most frequent)."""


def rewordings(task: Task, records: Sequence[Record]) -> list[Rewording]:
    """A map for each yes-or-no score that the task's records have in two variants or more."""
    records = [record for record in records if not _is_control(record)]
    maps, mapped = [], set()
    order = (ORIGINAL, *(variant.name for variant in task.variants))
    for score in _yes_or_no(task, records):
        having = [record for record in records if record.status == "error" or score in record.scores]
        new = {record.key for record in having if record.status == "ok"} - mapped
        rows = grid(having, score)
        columns = [name for name in order if any(name in row.cells for row in rows)]
        if new and len(columns) > 1:
            maps.append(_rewording(score.replace("_", " "), rows, columns))
            mapped |= new
    return maps


def _is_control(record: Record) -> bool:
    """A true premise beside the false ones: there the good end of a score of rejection is the bad one."""
    return record.sample.get("premise") == "true"


def _yes_or_no(task: Task, records: Sequence[Record]) -> list[str]:
    """Scores that are right or wrong, and of which right is good, in the order of their declaration."""
    answered = [record for record in records if record.status == "ok"]
    declared = {score.name: score for record in answered for score in task.scores_of(record.sample)}
    values = {name: [record.scores[name] for record in answered if name in record.scores] for name in declared}
    return [
        name
        for name, score in declared.items()
        if score.meaning.better == "high" and all(value is None or isinstance(value, bool) for value in values[name])
    ]


def _rewording(score: str, rows: Sequence[Row], columns: Sequence[str]) -> Rewording:
    drawn = [(row.question, {_name(v): _kind(cell) for v, cell in row.cells.items()}) for row in rows[:MOST_ROWS]]
    caption = f"{counted(len(rows), 'question')} in {len(columns)} forms, the worst first, by the score “{score}”."
    if len(rows) > MOST_ROWS:
        caption += f" The {counted(len(rows) - MOST_ROWS, 'best question')} left out."
    missed = [row for row in rows if not {"wrong", "refused"}.isdisjoint(map(_kind, row.cells.values()))]
    title = f"{score}: questions by variants"
    drawing = plots.heat_map(title, drawn, [_name(column) for column in columns])
    worst = [(row.question, _different(row)) for row in missed[:SHOWN_IN_FULL]]
    return Rewording(score, drawing, caption, worst)


def _different(row: Row) -> list[Answered]:
    said: dict[tuple[plots.Cell, str, Path | None], list[str]] = {}
    for variant, cell in row.cells.items():
        said.setdefault((_kind(cell), cell.text, cell.picture), []).append(_name(variant))
    answers = [
        Answered(kind, _shortened(text), variants, thumbnail(picture) if picture else None)
        for (kind, text, picture), variants in said.items()
    ]
    answers.sort(key=lambda answer: (_name(ORIGINAL) not in answer.variants, -len(answer.variants)))
    return answers[:MOST_ANSWERS]


def _name(variant: str) -> str:
    return variant.replace("-", " ") or "original"


def _shortened(answer: str) -> str:
    return answer if len(answer) <= LONGEST_ANSWER else f"{answer[:LONGEST_ANSWER]} … (whole among the samples)"


def _kind(cell: Cell) -> plots.Cell:
    if cell.value is None:
        return "error"
    if cell.value >= 0.5:
        return "right"
    return "refused" if refuses(cell.text) else "wrong"
