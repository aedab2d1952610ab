"""The report as one HTML file that asks nobody for anything: its policy names the one style and the one script."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.report import changes, words
from eval.report.page import Page
from eval.report.samples import embedded
from eval.report.verdict import verdict

FOLDER = Path(__file__).parent
SAID = (
    words.value_text,
    words.interval_text,
    words.counted,
    words.sentence,
    changes.sign,
    changes.short,
    changes.detail,
)
FILTERS = {function.__name__: function for function in SAID}


def html(page: Page) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    style, script = _source("style.css"), _source("script.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; base-uri 'none'"
    )
    template = environment.get_template("template.html.jinja")
    samples = embedded(page.result, page.baseline)
    return template.render(
        page=page,
        verdict=verdict(page),
        style=Markup(style),
        script=Markup(script),
        policy=Markup(policy),
        samples=Markup(samples),
    )


def _source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
