"""The chat page in a real browser, against the real server; only the models behind it follow a script."""

from collections.abc import Iterator

import pytest

from tests.integration.page.browsing import CHROMIUM, PATIENCE_MS, Open, is_violation, playwright
from tests.page_server import PageServer, page_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(tmp_path_factory.mktemp("page")))
        with page_server(pause_s=0.005) as running:
            yield running


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


@pytest.fixture
def open_page(browser, served) -> Iterator[Open]:
    """Opens the page; in the end, nothing may have gone wrong in it and no request may have left the machine."""
    contexts, problems = [], []

    def opened(path: str = "/", width: int = 1280, **options: object):
        context = browser.new_context(viewport={"width": width, "height": 844}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: problems.append(request.url) if not is_ours(request.url) else None)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        context.on("console", lambda message: problems.append(message.text) if is_violation(message.text) else None)
        page = context.new_page()
        page.goto(served.url + path)
        page.wait_for_selector("#menus button, form[action='/login']")
        return page

    def is_ours(url: str) -> bool:
        return url.startswith((f"{served.url}/", "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page) -> "playwright.Page":
    return open_page()
