"""Turns Markdown that nobody vouches for into HTML that is safe to show: no scripts, no requests to elsewhere."""

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

CLASS_PREFIX = "h-"
# Beyond these a page gains nothing from colours or structure, and the server loses seconds.
MAX_HIGHLIGHTED = 50_000
MAX_MARKDOWN = 200_000
MAX_PARAGRAPH = 20_000
MAX_BRACKETS = 100
MAX_NESTING = 40
MAX_LANGUAGE = 30

LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
SIGNED = r"/v1/images/files/[0-9a-f]{64}\.(?:png|jpeg|webp)(?:\?[\w=&%.-]*)?"
OWN_PICTURE = re.compile(SIGNED)
# The server that such a URL names is dropped: the page asks the one that it came from.
PICTURE = re.compile(rf"(?:https?://[^/?#\\]+)?({SIGNED})")

FORMATTER = HtmlFormatter(nowrap=True, classprefix=CLASS_PREFIX)
TAGS = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "hr", "br", "blockquote", "ol", "ul", "li"),
    *("a", "code", "del", "em", "img", "s", "strong", "figure", "figcaption", "pre", "span"),
    *("div", "table", "thead", "tbody", "tr", "th", "td"),
}
ALIGNMENTS = {"left", "right", "center"}


def render(markdown: str) -> str:
    """Safe HTML. Every top-level block of the Markdown is one element. CPU-bound: about a second for 100 kB."""
    if len(markdown) > MAX_MARKDOWN:
        return f'<pre tabindex="0">{escape(markdown, quote=False)}</pre>'
    return clean(parser().render(markdown))


@cache
def parser() -> MarkdownIt:
    """CommonMark without HTML, with tables and strikethrough."""
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    markdown.validateLink = lambda url: bool(LINK.match(url) or PICTURE.fullmatch(url))
    markdown.core.ruler.at("inline", _inline)
    for kind, rule in (("fence", _fence), ("code_block", _fence), ("image", _image)):
        markdown.add_render_rule(kind, rule)
    markdown.add_render_rule("table_open", lambda *_: '<div class="table"><table>')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>")
    for cell in ("th_open", "td_open"):
        markdown.add_render_rule(cell, _cell)
    return markdown


def clean(html: str) -> str:
    """The last word on what reaches a page, whatever came before."""
    return _cleaner().clean(html)


@cache
def _cleaner() -> nh3.Cleaner:
    spans = {CLASS_PREFIX + name for name in STANDARD_TYPES.values() if name}
    return nh3.Cleaner(
        tags=TAGS,
        attributes={"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        allowed_classes={
            "span": spans,
            "a": {"elsewhere"},
            "div": {"table"},
            "figure": {"code"},
            "th": ALIGNMENTS,
            "td": ALIGNMENTS,
        },
        # What scrolls sideways must be reachable with a keyboard.
        set_tag_attribute_values={
            "a": {"target": "_blank"},
            "img": {"loading": "lazy"},
            "pre": {"tabindex": "0"},
            "div": {"tabindex": "0"},
        },
    )


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src" and not OWN_PICTURE.fullmatch(value):
        return None
    if tag == "a" and attribute == "href" and not LINK.match(value):
        return None
    return value


def _inline(state: StateCore) -> None:
    """As it comes with markdown-it, but for paragraphs whose brackets would cost quadratic time."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        if len(token.content) > MAX_PARAGRAPH or token.content.count("[") > MAX_BRACKETS:
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _fence(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """A figure: the language as its caption, and the code in spans of Pygments' classes."""
    token = tokens[index]
    language = (token.info.split() or [""])[0][:MAX_LANGUAGE]
    return (
        f'<figure class="code"><figcaption>{escape(language)}</figcaption>'
        f"<pre><code>{_highlighted(token.content, language)}</code></pre></figure>"
    )


def _highlighted(code: str, language: str) -> str:
    if len(code) <= MAX_HIGHLIGHTED and language:
        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound:
            return escape(code)
        return highlight(code, lexer, FORMATTER)
    return escape(code)


def _image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Our own pictures are shown; one from elsewhere is a link, since fetching it would tell who reads this."""
    token = tokens[index]
    source = str(token.attrs["src"])
    alt = self.renderInlineAsText(token.children or [], options, env)
    if own := PICTURE.fullmatch(source):
        return f'<img src="{escape(own[1])}" alt="{escape(alt)}">'
    return f'<a class="elsewhere" href="{escape(source)}">{escape(alt or "picture")}</a>'


def _cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Alignment as a class: our content security policy forbids style attributes."""
    token = tokens[index]
    align = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} class="{align}">' if align else f"<{token.tag}>"
