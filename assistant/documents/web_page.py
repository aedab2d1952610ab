"""The text of an HTML page; run as a module it reads one, in UTF-8, from standard input."""

from html.parser import HTMLParser

from assistant.documents.confined import serve


def paragraphs(data: bytes) -> list[tuple[str, str, int]]:
    """Text, the heading above it, and the number of that section."""
    reader = _Reader()
    reader.feed(data.decode())
    reader.close()
    reader.end_paragraph()
    return reader.paragraphs


class _Reader(HTMLParser):
    """Collects the text that a browser would show. Some pages make the parser take a time that grows as a square."""

    HIDDEN = frozenset({"script", "style", "template", "noscript", "head", "svg"})
    HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
    INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong", "sub",
                        "sup", "u"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[tuple[str, str, int]] = []
        self._place, self._section = "beginning", 0
        self._words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in self.HIDDEN
        if tag not in self.INLINE:
            self.end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag in self.HEADINGS:
            self._place = " ".join("".join(self._words).split())[:100] or self._place
            self._section += 1
        if tag not in self.INLINE:
            self.end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words.append(data)

    def end_paragraph(self) -> None:
        if text := " ".join("".join(self._words).split()):
            self.paragraphs.append((text, self._place, self._section))
        self._words = []


if __name__ == "__main__":
    serve(paragraphs)
