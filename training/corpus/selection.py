"""Which rows of a source become documents: chosen, shaped, cleaned, each once, and everything left out counted."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from serving.errors import UserError
from training.corpus.cleaning import Duplicates, normalise
from training.corpus.locations import locate
from training.corpus.passages import Passages
from training.corpus.readers import Row
from training.corpus.shapes import ShapeError, to_document, words_of
from training.corpus.spec import DUPLICATE, LENGTH, NOT_CHOSEN, SourceReport, SourceSpec

CONDITION = re.compile(r"\s*(>=|<=|!=|>|<|==?|~)\s*(.+?)\s*")
FEWEST_BROKEN = 5


def selected(rows: Iterable[Row], spec: SourceSpec, report: SourceReport) -> Iterator[dict]:
    """The documents that `spec` makes of `rows`; what is left out is counted in `report`.

    Raises `UserError` as soon as more rows are unusable than `spec.broken` allows.
    """
    passages = Passages(locate(spec.passages)) if spec.passages else None
    known = Duplicates(near=spec.duplicates == "near")
    broken = 0
    for seen, row in enumerate(rows, 1):
        try:
            document = _document(row, spec, passages)
            reason = _left_out(document, spec, known)
        except ShapeError as error:
            broken, reason = broken + 1, str(error)
        if reason is None:
            yield document
            continue
        report.skip(reason, row.place)
        if broken > max(FEWEST_BROKEN, spec.broken * seen):
            raise UserError(
                f"{row.place}: {reason}; {broken} of the first {seen} rows of {spec.name} are unusable, more than its "
                f"`broken: {spec.broken:g}` allows: {_way_out(row, reason)}, or raise `broken`."
            )


def _document(row: Row, spec: SourceSpec, passages: Passages | None) -> dict | None:
    """The cleaned document in `row`; None when `where` leaves it out."""
    if row.data is None:
        raise ShapeError(row.problem)
    if not all(_holds(row.data, field, wanted) for field, wanted in spec.where.items()):
        return None
    data = _replaced(row.data, spec.replace) if spec.replace else row.data
    if passages:
        data = passages.joined(data)
    return _normalised(to_document(data, spec.kind, spec.fields, spec.max_messages))


def _left_out(document: dict | None, spec: SourceSpec, known: Duplicates) -> str | None:
    """Why a sound row is not taken; None when it is."""
    if document is None:
        return NOT_CHOSEN
    words = words_of(document)
    if not spec.min_characters <= len(words) <= (spec.max_characters or len(words)):
        return LENGTH
    if spec.duplicates != "keep" and known.add(words):
        return DUPLICATE
    return None


def _way_out(row: Row, reason: str) -> str:
    if row.data is not None and reason.startswith("no "):
        return f"its fields are {', '.join(map(str, row.data))}, so say in `fields` which to use"
    return row.hint or "mend or delete such rows"


def _holds(data: dict, field: str, wanted: Any) -> bool:
    """Whether a row's field is a value, one of a list, or as a comparison says (">= 0.8", "~ a regex")."""
    if field not in data:
        raise ShapeError(f"no field {field!r}")
    value = data[field]
    if isinstance(wanted, list):
        return value in wanted
    match = CONDITION.fullmatch(wanted) if isinstance(wanted, str) else None
    if not match:
        return value == wanted
    sign, bound = match.groups()
    if sign in ("=", "==", "!="):
        return (str(value) == bound) == (sign != "!=")
    if sign == "~":
        return re.search(bound, str(value)) is not None
    try:
        value, limit = float(value), float(bound)
    except (TypeError, ValueError):
        raise ShapeError(f"field {field!r} is no number") from None
    return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[sign]


def _replaced(value: Any, replace: dict[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in replace.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, list):
        return [_replaced(item, replace) for item in value]
    return {key: _replaced(item, replace) for key, item in value.items()} if isinstance(value, dict) else value


def _normalised(document: dict) -> dict:
    if "text" in document:
        document["text"] = normalise(document["text"])
        if not document["text"]:
            raise ShapeError("empty")
        return document
    for message in document["messages"]:
        if message["content"] is not None:
            message["content"] = normalise(message["content"]).strip()
            if not message["content"] and not message.get("tool_calls"):
                raise ShapeError("empty turn")
    return document
