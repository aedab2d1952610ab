"""What models, documents and people write is shown as HTML that can do nothing and asks nobody for anything."""

import re
from html.parser import HTMLParser

import pytest

from assistant.pages.growing import GrowingHtml
from assistant.pages.render import MAX_MARKDOWN, TAGS, clean, render
from tests.hostile_markup import ATTACKS, PICTURE

SAFE_ATTRIBUTES = {"href", "title", "target", "rel", "src", "alt", "loading", "start", "class", "tabindex"}


class Elements(HTMLParser):
    """Collects what a browser would make of some HTML: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.found if name == tag]


def elements(markdown: str) -> Elements:
    return Elements(render(markdown))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("around", ["{}", "> {}", "Some words {} and more", "- a\n- {}"])
def test_attacks_stay_harmless(attack, around):
    made = elements(around.format(attack))
    for tag, attributes in made.found:
        assert tag in TAGS
        assert attributes.keys() <= SAFE_ATTRIBUTES
    for link in made.of("a"):
        assert re.match(r"https?://|mailto:", link.get("href", "https://"))
    assert all(picture["src"] == PICTURE for picture in made.of("img"))


@pytest.mark.parametrize("html", [attack for attack in ATTACKS if "<" in attack])
def test_the_last_word_holds_even_if_raw_html_comes_through(html):
    made = Elements(clean(html))
    assert not {tag for tag, _ in made.found} - TAGS
    for _, attributes in made.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc", "id")]
        assert not {"src", "href"} & attributes.keys()


def test_markup():
    words = "# Title\n\n**bold** *slanted* ~~wrong~~ `code`\n\n1. one\n2. two\n\n> said\n\n"
    made = elements(words + "| a | b |\n|:-:|--:|\n| 1 | 2 |\n")
    assert {"h1", "strong", "em", "s", "code", "ol", "li", "blockquote", "table"} <= {tag for tag, _ in made.found}
    assert [cell["class"] for cell in made.of("td")] == ["center", "right"]


def test_links_open_elsewhere_and_tell_nothing():
    (link,) = elements("[a](https://example.com/x?y=1)").of("a")
    assert link == {
        "href": "https://example.com/x?y=1",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
    }


@pytest.mark.parametrize("server", ["", "http://127.0.0.1:8000", "https://evil.example"])
def test_own_pictures_are_shown_from_the_server_of_the_page(server):
    (picture,) = elements(f"![a red cat]({server}{PICTURE})").of("img")
    assert picture == {"src": PICTURE, "alt": "a red cat", "loading": "lazy"}


def test_pictures_from_elsewhere_are_links():
    made = elements("![a *cat*](https://example.com/cat.png)")
    (link,) = made.of("a")
    assert (link["href"], link["class"], made.text.strip()) == ("https://example.com/cat.png", "elsewhere", "a cat")


def test_code_is_coloured_and_reachable_by_keyboard():
    html = render("```python title\ndef f(x):\n\n    return 'a<b'\n```")
    assert '<span class="h-k">def</span>' in html
    assert Elements(html).text == "pythondef f(x):\n\n    return 'a<b'\n"
    assert Elements(html).of("pre") == [{"tabindex": "0"}]


def test_code_in_a_language_that_nobody_knows():
    made = elements(f"```{'x' * 1000}\na & b\n```")
    assert made.text == "x" * 30 + "a & b\n"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", [">", "[", "![", "*a_", "- ", "`a", "<", "&", "|a", "[a](<", "[a][", "\n[a]: x", "\\"])
def test_what_costs_markdown_renderers_minutes_is_bounded(unit):
    assert render(unit * (30_000 // len(unit)))


def test_a_paragraph_with_too_many_brackets_is_plain_text():
    link = "[a](https://example.com) "
    assert len(elements(link * 50).of("a")) == 50
    assert elements(link * 200).text == (link * 200).strip() + "\n"


def test_deep_nesting_is_cut_off():
    html = render("> " * 5000 + "deep\n\nafter")
    assert html.count("<blockquote>") < 100
    assert "after" in html


def test_what_is_too_long_is_shown_plain():
    html = render("**a** <b>\n" * MAX_MARKDOWN)
    assert html.startswith('<pre tabindex="0">**a** &lt;b&gt;')


SAMPLE = f"""# A title

First paragraph with **bold
words** over two lines.

- one
- two

  still two
1. other list

```python
print("[")

print("]")
```
| a | b |
|---|---|
| 1 | 2 |

Setext
======

![cat]({PICTURE}) and <script>alert(1)</script>

> quotation
goes on

---
end"""


def top_elements(html: str) -> list[str]:
    """The elements at the top, as a browser's `children`."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"<(/?)(\w+)[^>]*>", html):
        if match[2] in ("hr", "br", "img"):
            depth += 0
        else:
            depth += -1 if match[1] else 1
        if depth == 0:
            found.append(html[start : match.end()].strip())
            start = match.end()
    return found


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_a_growing_answer_ends_as_the_whole(piece):
    growing, shown = GrowingHtml(), []
    for end in [*range(piece, len(SAMPLE), piece), len(SAMPLE)]:
        stay, html = growing.update(SAMPLE[:end])
        assert stay <= len(shown)
        shown = shown[:stay] + top_elements(html)
        assert shown == top_elements(growing.html)
    assert shown == top_elements(render(SAMPLE))


def test_a_growing_answer_renders_only_its_end():
    growing = GrowingHtml()
    growing.update("\n\n".join(f"paragraph {number}" for number in range(1000)))
    stay, html = growing.update("\n\n".join(f"paragraph {number}" for number in range(1001)))
    assert stay == 998
    assert top_elements(html) == [f"<p>paragraph {number}</p>" for number in (998, 999, 1000)]


def test_a_growing_list_stays_one_list():
    growing = GrowingHtml()
    text = "1. one\n\n2. two\n\n3. three\n"
    for end in range(1, len(text) + 1):
        growing.update(text[:end])
    assert growing.html.count("<ol>") == 1
