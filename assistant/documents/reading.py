"""Reads files that people give: plain text, Markdown, HTML and PDF become paragraphs that know where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import PurePath

from assistant.documents.pdf import read_pdf
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
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t#]*$")
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
                for number, page in enumerate(read_pdf(data), 1)
                for text in _paragraphs(page)
            ]
        case "text/html":
            paragraphs = _Html.read(_decoded(data))
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
            place, section, lines = heading[1] or "beginning", section + 1, []
        lines.append(line)


class _Html(HTMLParser):
    """Collects the text that a browser would show."""

    HIDDEN = frozenset({"script", "style", "template", "noscript", "head", "svg"})
    HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
    INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong", "sub",
                        "sup", "u"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[Paragraph] = []
        self._place, self._section = "beginning", 0
        self._words: list[str] = []
        self._hidden = 0

    @classmethod
    def read(cls, text: str) -> list[Paragraph]:
        reader = cls()
        reader.feed(text)
        reader.close()
        reader._end_paragraph()
        return reader.paragraphs

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in self.HIDDEN
        if tag not in self.INLINE:
            self._end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag in self.HEADINGS:
            self._place = " ".join("".join(self._words).split())[:100] or self._place
            self._section += 1
        if tag not in self.INLINE:
            self._end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words.append(data)

    def _end_paragraph(self) -> None:
        if text := " ".join("".join(self._words).split()):
            self.paragraphs.append(Paragraph(text, self._place, self._section))
        self._words = []
