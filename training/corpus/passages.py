"""Reading comprehension: question rows that point into a file of texts get the passage they are about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.corpus.readers import read_rows
from training.corpus.shapes import ShapeError


class Passages:
    """Texts of the shape `{"name", "sections": [...]}`, as FairytaleQA has them, by name."""

    def __init__(self, files: list[Path]) -> None:
        rows = (row.data for file in files for row in read_rows(file) if row.data)
        self._sections = {row["name"]: row["sections"] for row in rows if "name" in row and "sections" in row}

    def joined(self, row: Mapping[str, Any]) -> dict:
        """`row` with its passage as `context` and its first answer as a sentence.

        `row["sections"]` counts from 1 ("8,9"). Raises `ShapeError` when it points nowhere.
        """
        try:
            sections = self._sections[row["story"]]
            numbers = [int(number) for number in str(row["sections"]).split(",")]
            context = "\n\n".join(sections[number - 1] for number in numbers if number > 0)
            answer = row["answers"][0].strip()
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            raise ShapeError("no passage") from None
        return {**row, "context": context, "answer": _sentence(answer)}


def _sentence(answer: str) -> str:
    ended = not answer or answer.endswith((".", "!", "?", '"', "'"))
    return answer[:1].upper() + answer[1:] + ("" if ended else ".")
