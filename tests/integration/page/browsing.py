"""What tests of the page do again and again: ask, and wait for the answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.page_server import PageServer

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 120_000
SETTINGS_CLOSE = "#settings [aria-label=Close]"

Open = Callable[..., "playwright.Page"]


def is_violation(text: str) -> bool:
    return "Content Security Policy" in text or "TrustedHTML" in text


def ask(page, question: str) -> None:
    page.fill("#box", question)
    page.press("#box", "Enter")
    expect(page.locator(".asked .text").last).to_have_text(question)


def wait_for_answer(page) -> "playwright.Locator":
    expect(page.locator("#transcript")).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    return page.locator(".answered").last


def asked(page, question: str) -> "playwright.Locator":
    ask(page, question)
    return wait_for_answer(page)


def conversation(page, served: PageServer) -> dict:
    return served.http.get("/api/conversations/" + page.url.rpartition("/")[2]).json()
