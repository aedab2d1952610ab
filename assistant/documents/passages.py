"""Cuts a document into passages: short enough to be quoted, long enough to be understood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from assistant.documents.reading import Paragraph

MAX_CHARS = 800
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+")


@dataclass(frozen=True)
class Piece:
    """Some paragraphs of one section, or a part of a long one; `place` is where it begins."""

    place: str
    text: str


def pieces(paragraphs: list[Paragraph]) -> list[Piece]:
    """In the order of the document, each of at most `MAX_CHARS` characters."""
    found: list[Piece] = []
    section = None
    for paragraph in paragraphs:
        for part in _parts(paragraph.text):
            fits = section == paragraph.section and len(found[-1].text) + len(part) + 2 <= MAX_CHARS
            if fits:
                found[-1] = Piece(found[-1].place, f"{found[-1].text}\n\n{part}")
            else:
                found.append(Piece(paragraph.place, part))
            section = paragraph.section
    return found


def sentences(text: str) -> list[str]:
    """Of a passage, each on one line and without Markdown's marks; headings only when there is nothing else."""
    parts = [part for block in text.split("\n\n") for part in SENTENCE_END.split(block) if part.strip()]
    telling = [part for part in parts if not part.startswith("#")] or parts
    return [" ".join(part.lstrip("#>*-+ ").split()) for part in telling]


def _parts(text: str) -> Iterator[str]:
    """The paragraph whole, or cut where sentences or else words end."""
    start = 0
    while len(text) - start > MAX_CHARS:
        end = start + MAX_CHARS
        ends = [match.end() for match in SENTENCE_END.finditer(text, start, end)]
        blank = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        cut = ends[-1] if ends and ends[-1] - start > MAX_CHARS // 3 else blank if blank > start else end
        yield text[start:cut].strip()
        start = cut
        while start < len(text) and text[start].isspace():
            start += 1
    if start < len(text):
        yield text[start:]
