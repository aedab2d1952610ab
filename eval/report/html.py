"""The report as one HTML file that asks nobody for anything: its policy names the one style and the one script."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.report import changes, words
from eval.report.page import Page
from eval.report.samples import embedded
from eval.report.systems import SystemsPage
from eval.report.verdict import verdict
from eval.systems.table import could_hide, marks, money

FOLDER = Path(__file__).parent
STYLES = ("style.css", "narrow.css")
SAID = (
    words.value_text,
    words.interval_text,
    words.counted,
    words.sentence,
    changes.sign,
    changes.short,
    changes.detail,
    changes.left_open,
    changes.p_text,
    words.difference_text,
    could_hide,
    marks,
    money,
)
FILTERS = {function.__name__: function for function in SAID}


def html(page: Page) -> str:
    """The whole file of one run."""
    samples = Markup(embedded(page.result, page.baseline, page.samples))
    return _rendered("page.html.jinja", ("samples.js", "folds.js"), page=page, verdict=verdict(page), samples=samples)


def systems_html(page: SystemsPage) -> str:
    """The whole file of several systems."""
    return _rendered("systems.html.jinja", ("folds.js",), page=page)


def _rendered(template: str, scripts: Sequence[str], **content: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    style, script = ("\n".join(map(_source, names)) for names in (STYLES, scripts))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; base-uri 'none'"
    )
    fixed = {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}
    return environment.get_template(template).render(**fixed, **content)


def _source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
