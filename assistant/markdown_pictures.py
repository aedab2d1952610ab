"""Pictures in the Markdown of an answer: put in for whoever reads it, left out for the model."""

import re

from serving.images.store import URL_PREFIX

PICTURE = re.compile(r"!\[(?:\\.|[^\]\\])*\]\([^)\s]*" + re.escape(URL_PREFIX) + r"[^)\s]*\)\s*")
SPECIAL = re.compile(r"([\\\[\]])")


def markdown_picture(prompt: str, url: str) -> str:
    """An image whose text is the prompt, on one line."""
    text = SPECIAL.sub(r"\\\1", " ".join(prompt.split()))
    return f"![{text}]({url})"


def without_pictures(markdown: str) -> str:
    """Without the images that this server drew."""
    return PICTURE.sub("", markdown)
