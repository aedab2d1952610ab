"""Pages of the report, parsed as strictly as a browser never does."""

import json
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "input", "br"}
NOT_SHOWN = {"script", "style", "title", "option"}


class Page(HTMLParser):
    """Elements with their attributes and texts; fails on any element that is not closed where it should be."""

    def __init__(self, source):
        super().__init__()
        self.open, self.elements, self.texts, self.to_read = [], [], {}, []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, len(self.elements) - 1))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, content):
        for _, place in self.open:
            self.texts[place] = self.texts.get(place, "") + content
        tags = [tag for tag, _ in self.open]
        is_folded = any(outer == "details" and inner != "summary" for outer, inner in pairwise([*tags, ""]))
        if not is_folded and NOT_SHOWN.isdisjoint(tags):
            self.to_read += content.split()

    def text_of(self, tag, **attributes):
        return [
            self.texts.get(place, "")
            for place, (name, given) in enumerate(self.elements)
            if name == tag and attributes.items() <= {k.replace("class", "class_"): v for k, v in given.items()}.items()
        ]

    def tiles(self):
        """The text of every tile, whatever became of what it shows."""
        articles = [given["class"] for tag, given in self.elements if tag == "article"]
        kinds = dict.fromkeys(kind for kind in articles if kind.split()[0] == "tile")
        return [" ".join(text.split()) for kind in kinds for text in self.text_of("article", class_=kind)]


def page_of(folder, name="report.html"):
    return Page((folder / name).read_text())


def data_of(page):
    return json.loads(page.text_of("script", type="application/json")[0])
