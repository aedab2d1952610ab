"""Reads files that people give: plain text, Markdown, HTML and PDF become paragraphs that know where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from assistant.documents.confined import read_confined
from serving.api.errors import ApiError

MEDIA_TYPES = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
}
BLANK_LINES = re.compile(r"\n[ \t]*\n")
MAX_PLACE = 100
# What ends a heading is not part of this pattern: it would be looked for at every character of the line.
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
FENCE = re.compile(r" {0,3}(```|~~~)")


@dataclass(frozen=True)
class Paragraph:
    """`place` is where it stands, as one cites it; neighbours of one `section` may be read together."""

    text: str
    place: str
    section: int


def media_type(name: str) -> str:
    """Of a file, by how its name ends. Raises `ApiError` 415 for kinds that cannot be read."""
    kind = MEDIA_TYPES.get(PurePath(name).suffix.lower())
    if kind is None:
        message = f"Files like {name!r} cannot be read: documents end in {', '.join(MEDIA_TYPES)}."
        raise ApiError(415, message, param="file", code="unsupported_document")
    return kind


def read(kind: str, data: bytes) -> list[Paragraph]:
    """The paragraphs of a file of that media type. Blocks; raises `ApiError` 400 when there is no text in it."""
    match kind:
        case "application/pdf":
            paragraphs = [
                Paragraph(text, f"page {number}", number)
                for number, page in enumerate(read_confined("assistant.documents.pdf", data), 1)
                for text in _paragraphs(page)
            ]
        case "text/html":
            found = read_confined("assistant.documents.web_page", _decoded(data).encode())
            paragraphs = [Paragraph(*each) for each in found]
        case "text/markdown":
            paragraphs = list(_markdown(_decoded(data)))
        case _:
            paragraphs = list(_plain(_decoded(data)))
    if not paragraphs:
        raise ApiError(400, "There is no text in this file.", param="file", code="empty_document")
    return paragraphs


def _decoded(data: bytes) -> str:
    """Text in UTF-8, in UTF-16 with its mark, or else in Windows' western code page."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise ApiError(400, "This file is not text, whatever its name says.", param="file", code="unreadable_document")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _paragraphs(text: str) -> list[str]:
    return [stripped for part in BLANK_LINES.split(text) if (stripped := part.strip())]


def _plain(text: str) -> Iterator[Paragraph]:
    line = 1
    for part in BLANK_LINES.split(text):
        before = len(part) - len(part.lstrip())
        if part.strip():
            yield Paragraph(part.strip(), f"line {line + part[:before].count(chr(10))}", 0)
        line += part.count("\n") + 2


def _markdown(text: str) -> Iterator[Paragraph]:
    """Sections begin at headings, except in code."""
    place, section, lines, fenced = "beginning", 0, [], False
    for line in [*text.split("\n"), "# "]:
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line)
        if heading:
            yield from (Paragraph(part, place, section) for part in _paragraphs("\n".join(lines)))
            place = line[heading.end() :].rstrip(" \t#")[:MAX_PLACE] or "beginning"
            section, lines = section + 1, []
        lines.append(line)
