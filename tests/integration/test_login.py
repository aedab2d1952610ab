"""Logging in to the page with a real browser; only the models behind it follow a script."""

import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.database import Database
from serving.keys import KeyStore, on_database
from tests.page_server import PageServer, page_server

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 60_000
FORM = "form[action='/login']"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PageServer]:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    with page_server() as running:
        yield running


@pytest.fixture
def page(served: PageServer) -> Iterator["playwright.Page"]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def make_key(user: str) -> str:
    async def work(database: Database) -> str:
        return (await KeyStore(database).create(user, user))[1]

    return aside(work)


def aside(work: Callable[[Database], Awaitable[Any]]) -> Any:
    """What `work` returns, from a thread without the event loop that Playwright has in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(on_database, work).result()


def log_in(page: "playwright.Page", key: str) -> None:
    page.fill("#key", key)
    page.click(f"{FORM} button")


def test_a_person_logs_in_asks_and_logs_out_and_a_revoked_key_ends_it(served: PageServer, page) -> None:
    key = make_key("ada")
    time.sleep(1.1)  # a running server asks its database once a second
    page.goto(f"{served.url}/")
    assert page.url.endswith("/login")
    log_in(page, "hg-wrong")
    page.wait_for_function("document.querySelector('#error').textContent.includes('wrong')")
    log_in(page, key)
    page.wait_for_selector("#menus button")
    assert page.url.partition("#")[0] == f"{served.url}/"
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("fetch('/api/me').then(answer => answer.json())")["user"] == "ada"
    ask = "fetch('/api/conversations', {method: 'POST', headers: {'Content-Type': 'application/json'%s}, body: '{}'})"
    assert page.evaluate((ask % "") + ".then(answer => answer.status)") == 403
    page.click("#logout button")
    page.wait_for_selector(FORM)
    log_in(page, key)
    page.wait_for_selector("#menus button")
    aside(lambda database: KeyStore(database).revoke("ada"))
    time.sleep(1.1)
    page.goto(f"{served.url}/")
    page.wait_for_selector(FORM)


def test_an_answer_on_the_page_is_charged_to_whoever_asked(served: PageServer) -> None:
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {make_key('ada')}"}, timeout=60) as ada:
        while httpx.get(f"{served.url}/api/me").status_code == 200:
            time.sleep(0.1)
        conversation = ada.post("/api/conversations", json={"model": "assistant"}).json()
        ada.post(f"/api/conversations/{conversation['id']}/turns", json={"parent_id": None, "content": "hi"})
        while not (usage := ada.get("/api/usage").json()["usage"]):
            time.sleep(0.1)
    assert [(row["user"], row["model"], row["requests"]) for row in usage] == [("ada", "assistant", 1)]
    assert usage[0]["prompt_tokens"] > 0
    assert usage[0]["completion_tokens"] > 0
