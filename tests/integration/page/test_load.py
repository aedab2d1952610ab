"""The page as a whole: what is loaded, how it is fenced, in which colours and sizes, and behind a login."""

import base64
import hashlib
import re

from tests.integration.page.browsing import asked, expect
from tests.page_server import page_server

MAX_FIRST_LOAD = 150_000


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


def hash_of(inline: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}"


def test_files_are_cached_by_content_and_strictly_fenced(served):
    shown = served.http.get("/")
    policy = shown.headers["Content-Security-Policy"]
    inline = [re.findall(rf"<{tag}>(.*?)</{tag}>", shown.text, re.DOTALL) for tag in ("script", "style")]
    script, style = (hash_of(only) for (only,) in inline)
    assert policy.startswith(f"default-src 'none'; script-src 'self' '{script}'; style-src 'self' '{style}'; img-src")
    assert "unsafe" not in policy
    assert not re.search(r"<style(?!>)|\sstyle=|\son\w+=|<script(?!>|[^>]* src=\"/static/)", shown.text)
    assert served.http.get("/", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    assert served.http.get("/", headers={"Accept-Encoding": "identity"}).text == shown.text
    script = re.search(r"/static/\w+/app\.js", shown.text)[0]
    assert "immutable" in served.http.get(script).headers["Cache-Control"]
    assert "immutable" not in served.http.get("/static/old/app.js").headers["Cache-Control"]
    for path in ("/static/old/nothing.js", "/static/old/..%2Fpage.py", "/static/../page.py", "/static/app.js"):
        assert served.http.get(path).status_code == 404


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
