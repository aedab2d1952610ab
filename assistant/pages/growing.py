"""The HTML of an answer while it is being written: only its end changes, so only its end is rendered again."""

from assistant.pages.render import MAX_MARKDOWN, clean, parser, render

# The last block may still change its kind, and a line begun after a list may turn out to belong to it.
OPEN_BLOCKS = 2


class GrowingHtml:
    """Markdown that only ever gets longer; `html` is what a page shows of it so far."""

    def __init__(self) -> None:
        self._settled = ""
        self._blocks = 0
        self._read = 0
        self._tail = ""

    @property
    def html(self) -> str:
        """All of it."""
        return self._settled + self._tail

    def update(self, markdown: str) -> tuple[int, str]:
        """The number of elements at the top that stay as they are, and the HTML of all that follow them.

        CPU-bound: takes time for the blocks that are still open, usually a paragraph or two.
        """
        markdown = markdown.replace("\r\n", "\n").replace("\r", "\n")
        if len(markdown) > MAX_MARKDOWN:
            self._settled, self._tail, self._blocks = "", render(markdown), 0
            return 0, self._tail
        stay, rest = self._blocks, markdown[self._read :]
        tokens = parser().parse(rest)
        blocks = [index for index, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
        rendered = parser().renderer.render
        options, env = parser().options, {}
        if len(blocks) <= OPEN_BLOCKS:
            self._tail = clean(rendered(tokens, options, env))
            return stay, self._tail
        still_open = blocks[-OPEN_BLOCKS]
        settled = clean(rendered(tokens[:still_open], options, env))
        self._tail = clean(rendered(tokens[still_open:], options, env))
        self._settled += settled
        self._blocks += len(blocks) - OPEN_BLOCKS
        self._read += _offset(rest, tokens[still_open].map[0])
        return stay, settled + self._tail


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    position = 0
    for _ in range(line):
        position = text.index("\n", position) + 1
    return position
