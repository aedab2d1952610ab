"""The page's API over real HTTP: a conversation from its first question to its end, and all that can go wrong."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import pytest

from assistant.conversations import Conversations
from assistant.pages.turn_routes import title_of
from serving.database import Database
from tests.page_events import events, last
from tests.page_server import PageServer, page_server
from tests.unit.serving.picture_api import opened, refusal


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(tmp_path_factory.mktemp("home")))
        with page_server() as served:
            yield served


def new(served: PageServer, **settings: object) -> str:
    made = served.http.post("/api/conversations", json=settings)
    assert made.status_code == 201, made.text
    return made.json()["id"]


def ask(served: PageServer, conversation: str, content: str, parent: str | None = None) -> dict:
    """The answer that is begun."""
    begun = served.http.post(f"/api/conversations/{conversation}/turns", json={"content": content, "parent_id": parent})
    assert begun.status_code == 202, begun.text
    question, answer = begun.json()["user"], begun.json()["assistant"]
    assert (question["role"], question["parent_id"], question["content"]) == ("user", parent, content)
    assert (answer["role"], answer["parent_id"], answer["state"]) == ("assistant", question["id"], "running")
    return answer


def answered(served: PageServer, content: str, **settings: object) -> tuple[str, dict]:
    """A conversation with one question, and its answer."""
    conversation = new(served, **settings)
    name, data = last(served.http, ask(served, conversation, content)["id"])
    assert name == "done", data
    return conversation, data["message"]


def conversation_of(served: PageServer, conversation: str) -> dict:
    return served.http.get(f"/api/conversations/{conversation}").json()


class TopLevel(HTMLParser):
    """The elements at the top of a piece of HTML, each as its text and markup."""

    VOID = ("br", "hr", "img")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.elements, self._depth = [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if self._depth == 0:
            self.elements.append("")
        self.elements[-1] += self.get_starttag_text()
        self._depth += tag not in self.VOID

    def handle_endtag(self, tag):
        self.elements[-1] += f"</{tag}>"
        self._depth -= 1

    def handle_data(self, data):
        if self._depth:
            self.elements[-1] += data

    def handle_entityref(self, name):
        self.elements[-1] += f"&{name};"


def test_what_the_page_is_offered(served: PageServer) -> None:
    me = served.http.get("/api/me").json()
    assert (me["user"], me["login"]) == ("local", False)
    assert [(model["id"], model["kind"]) for model in me["models"]] == [
        ("assistant", "assistant"),
        ("words", "raw"),
        ("images", "image"),
    ]
    assert "plain" in [persona["id"] for persona in me["personas"]]
    assert me["defaults"]["model"] == "assistant"


def test_a_question_is_answered_and_kept(served: PageServer) -> None:
    conversation, message = answered(served, "Hello there")
    assert message["content"] == "You said: *Hello there*.\n\nIs there **anything else**?"
    assert message["html"] == (
        "<p>You said: <em>Hello there</em>.</p>\n<p>Is there <strong>anything else</strong>?</p>\n"
    )
    assert (message["state"], message["model"], message["steps"]) == ("done", "assistant", [])
    assert message["usage"]["completion_tokens"] == 8
    kept = conversation_of(served, conversation)
    assert (kept["title"], kept["head_id"]) == ("Hello there", message["id"])
    assert [one["role"] for one in kept["messages"]] == ["user", "assistant"]
    assert kept["messages"][1] == message
    sidebar = served.http.get("/api/conversations", params={"search": "hello THERE"}).json()["conversations"]
    assert [(one["id"], one["running"]) for one in sidebar] == [(conversation, False)]


def test_what_was_said_goes_along_with_the_next_question(served: PageServer) -> None:
    conversation, message = answered(served, "calculate 6*7")
    assert [step["result"] for step in message["steps"]] == ["42"]
    assert message["content"] == "The tool said: 42."
    last(served.http, ask(served, conversation, "And now?", message["id"])["id"])
    asked = served.model.asked[-1]["messages"]
    assert [one["role"] for one in asked] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert asked[3]["content"] == "42"
    assert json.loads(asked[2]["tool_calls"][0]["function"]["arguments"]) == {"expression": "6*7"}


def test_the_stream_builds_up_to_the_message(served: PageServer) -> None:
    content, elements, seqs = "", [], []
    for name, data in events(served.http, ask(served, new(served), "a long answer, slowly")["id"]):
        seqs.append(data["seq"])
        match name:
            case "snapshot":
                content, elements = data["content"], TopLevel(data["html"]).elements
            case "text":
                content += data["text"]
            case "html":
                settled = data["from"]
                elements[settled:] = TopLevel(data["html"]).elements
            case "done":
                message = data["message"]
    assert content == message["content"]
    assert settled > 3
    assert elements[:settled] == TopLevel(message["html"]).elements[:settled]
    assert seqs == sorted(set(seqs))


def test_tools_are_shown_as_they_happen_and_can_be_stopped(served: PageServer) -> None:
    conversation = new(served)
    answer = ask(served, conversation, "draw wait")
    following = events(served.http, answer["id"])
    seen = [next(following)]
    while seen[-1][0] != "progress":
        seen.append(next(following))
    running = seen[0][1]["tools"] + [data for name, data in seen if name == "tool"]
    assert (running[0]["name"], json.loads(running[0]["arguments"])) == ("generate_image", {"prompt": "wait"})
    assert seen[-1][1]["text"] in ("2 ahead in the queue", "step 1 of 2")
    assert served.http.post(f"/api/messages/{answer['id']}/stop").status_code == 204
    assert served.worker.cancelled.wait(10)
    assert list(following)[-1][1]["message"]["state"] == "stopped"


def test_pictures_can_be_fetched(served: PageServer) -> None:
    _, message = answered(served, "draw a red cat")
    step = message["steps"][0]
    assert (step["name"], step["failed"], step["pictures"][0]["prompt"]) == ("generate_image", False, "a red cat")
    assert opened(served.http.get(step["pictures"][0]["url"]).content).size == (512, 512)


def test_drawing_again_makes_a_sibling_with_another_picture(served: PageServer) -> None:
    conversation, message = answered(served, "draw noise")
    begun = served.http.post(f"/api/messages/{message['id']}/draw-again", json={"step": 0})
    assert begun.status_code == 202, begun.text
    name, data = last(served.http, begun.json()["assistant"]["id"])
    again = data["message"]
    assert (name, again["parent_id"], again["content"]) == ("done", message["parent_id"], message["content"])
    assert again["steps"][0]["pictures"][0]["file"] != message["steps"][0]["pictures"][0]["file"]
    assert conversation_of(served, conversation)["head_id"] == again["id"]
    nothing = served.http.post(f"/api/messages/{message['id']}/draw-again", json={"step": 1})
    refusal(nothing, 400, "invalid_value", "step")


def test_regenerating_and_editing_make_branches(served: PageServer) -> None:
    conversation, first = answered(served, "One")
    begun = served.http.post(f"/api/messages/{first['id']}/regenerate", json={"sampling": {"temperature": 1.5}})
    second = last(served.http, begun.json()["assistant"]["id"])[1]["message"]
    assert second["parent_id"] == first["parent_id"]
    assert served.model.asked[-1]["temperature"] == 1.5
    edited = last(served.http, ask(served, conversation, "Two")["id"])[1]["message"]
    kept = conversation_of(served, conversation)
    assert [one["parent_id"] for one in kept["messages"] if one["role"] == "user"] == [None, None]
    assert (kept["head_id"], kept["title"]) == (edited["id"], "One")
    back = served.http.patch(f"/api/conversations/{conversation}", json={"head_id": first["id"]}).json()
    assert back["head_id"] == first["id"]


def test_stopping_closes_the_request_to_the_engine(served: PageServer) -> None:
    conversation = new(served)
    answer = ask(served, conversation, "wait for me")
    following = events(served.http, answer["id"])
    while next(following)[0] != "text":
        pass
    served.model.hung_up.clear()
    assert served.model.running == 1
    assert served.http.post(f"/api/messages/{answer['id']}/stop").status_code == 204
    assert served.model.hung_up.wait(10)
    name, data = list(following)[-1]
    assert (name, data["message"]["state"]) == ("done", "stopped")
    assert data["message"]["content"].startswith("You said: *wait for me*.")
    assert list(events(served.http, answer["id"]))[-1][1]["message"] == data["message"]


def test_many_answers_that_are_stopped_at_once_all_stop(served: PageServer) -> None:
    """Words come so fast that many of the stops come together with one."""
    answers = [ask(served, new(served), "wait")["id"] for _ in range(40)]
    while served.model.running < len(answers):
        time.sleep(0.05)
    with ThreadPoolExecutor(len(answers)) as pool:
        stopped = list(pool.map(lambda answer: served.http.post(f"/api/messages/{answer}/stop").status_code, answers))
    assert stopped == [204] * len(answers)
    assert served.model.running == 0


def test_a_client_that_leaves_does_not_stop_the_answer(served: PageServer) -> None:
    answer = ask(served, new(served), "wait here")
    for number in range(2):  # the first tab is closed, the second one goes on
        for name, data in events(served.http, answer["id"]):
            assert number == 0 or name != "snapshot" or data["content"]
            if name == "text":
                break
    assert served.model.running == 1
    served.http.post(f"/api/messages/{answer['id']}/stop")


def test_one_answer_at_a_time_and_deleting_stops_it(served: PageServer) -> None:
    conversation = new(served)
    answer = ask(served, conversation, "wait and see")
    busy = served.http.post(f"/api/conversations/{conversation}/turns", json={"content": "Hurry up"})
    refusal(busy, 409, "conversation_busy")
    refusal(served.http.post(f"/api/messages/{answer['id']}/regenerate", json={}), 409, "conversation_busy")
    assert served.http.get("/api/conversations").json()["conversations"][0]["running"]
    _, other = answered(served, "Another conversation goes on")
    assert other["state"] == "done"
    while served.model.running == 0:
        time.sleep(0.01)
    served.model.hung_up.clear()
    following = events(served.http, answer["id"])
    next(following)
    assert served.http.delete(f"/api/conversations/{conversation}").status_code == 204
    assert served.model.hung_up.wait(10)
    name, data = list(following)[-1]
    assert (name, data["error"]["code"]) == ("error", "not_found")
    refusal(served.http.get(f"/api/conversations/{conversation}"), 404, "not_found")
    refusal(served.http.get(f"/api/messages/{answer['id']}/events"), 404, "not_found")


@pytest.mark.parametrize("question", ["die early", "fail in the middle", "refuse this"])
def test_what_goes_wrong_is_told_and_kept(served: PageServer, question: str) -> None:
    conversation = new(served)
    answer = ask(served, conversation, question)
    name, data = last(served.http, answer["id"])
    assert name == "error"
    assert set(data["error"]) == {"message", "type", "param", "code"}
    message = conversation_of(served, conversation)["messages"][-1]
    assert (message["state"], message["error"]) == ("failed", data["error"]["message"])
    assert message == data["message"]
    assert last(served.http, answer["id"])[0] == "error"
    assert answered(served, "Still there?")[1]["state"] == "done"


def test_an_answer_that_another_server_writes_is_watched(served: PageServer) -> None:
    """As when several servers share a database: here it is a test that writes, behind the server's back."""
    _, message = answered(served, "Hello")

    def write(content: str, state: str) -> None:
        async def save() -> None:
            database = Database(served.app.state.database.url)
            reached = {"content": content, "steps": [], "state": state}
            await Conversations(database).save({message["id"]: reached})
            await database.close()

        asyncio.run(save())

    write("half", "running")
    following = events(served.http, message["id"])
    assert [(name, data["content"], data["state"]) for name, data in [next(following)]] == [
        ("snapshot", "half", "running")
    ]
    write("half and half", "done")
    name, data = list(following)[-1]
    assert (name, data["message"]["content"]) == ("done", "half and half")


def test_feedback_is_shown_with_the_message(served: PageServer) -> None:
    conversation, message = answered(served, "Is it good?")
    given = {"thumb": -1, "correction": "It is.", "consent": True}
    assert served.http.post(f"/api/messages/{message['id']}/feedback", json=given).json() == given
    assert conversation_of(served, conversation)["messages"][1]["feedback"] == given
    wrong = served.http.post(f"/api/messages/{message['id']}/feedback", json={"thumb": 2})
    refusal(wrong, 400, "invalid_value", "thumb")


def test_changes_and_what_is_no_change(served: PageServer) -> None:
    conversation = new(served, persona="plain", settings={"temperature": 0.5})
    path = f"/api/conversations/{conversation}"
    changed = served.http.patch(path, json={"title": " New ", "model": "words", "persona": None, "settings": {}}).json()
    assert [changed[name] for name in ("title", "model", "persona", "settings")] == ["New", "words", None, {}]
    for body, code, param in (
        ({"model": "images"}, "model_not_found", "model"),
        ({"model": "nobody"}, "model_not_found", "model"),
        ({"persona": "../../../etc/passwd"}, "invalid_value", "persona"),
        ({"settings": {"temperature": 9}}, "invalid_value", "settings"),
        ({"title": ""}, "invalid_value", "title"),
        ({"head_id": None}, "invalid_value", "head_id"),
        ({"colour": "red"}, "unknown_parameter", "colour"),
    ):
        refusal(served.http.patch(path, json=body), 404 if code == "model_not_found" else 400, code, param)


@pytest.mark.parametrize("id", ["%00", "..", "%2e%2e%2fsecret", "x" * 5000, "%ff", "' OR 1=1 --", "A" * 32])
def test_what_cannot_be_an_id_is_nothing(served: PageServer, id: str) -> None:
    for path in (f"/api/conversations/{id}/export", f"/api/messages/{id}/events", f"/api/conversations?before={id}"):
        answer = served.http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) in ((404, "not_found"), (404, "unknown_url"))


def test_the_raw_model_is_asked_without_tools(served: PageServer) -> None:
    _, message = answered(served, "calculate 6*7", model="words", settings={"max_tokens": 50})
    assert message["steps"] == []
    assert "tools" not in served.model.asked[-1]
    assert served.model.asked[-1]["model"] == "words"


def test_exports_are_files(served: PageServer) -> None:
    conversation, _ = answered(served, "Keep this")
    markdown = served.http.get(f"/api/conversations/{conversation}/export")
    assert markdown.headers["content-disposition"].startswith("attachment")
    assert "Keep this" in markdown.text
    exported = served.http.get(f"/api/conversations/{conversation}/export", params={"format": "json"}).json()
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant"]
    refusal(served.http.get(f"/api/conversations/{conversation}/export?format=exe"), 400, "invalid_value", "format")


def test_documents_come_and_go(served: PageServer) -> None:
    sent = served.http.post("/api/documents", files={"file": ("cats.txt", b"Cats sleep sixteen hours a day.")})
    assert sent.status_code == 201, sent.text
    assert sent.json()["name"] == "cats.txt"
    assert [one["id"] for one in served.http.get("/api/documents").json()["documents"]] == [sent.json()["id"]]
    _, message = answered(served, "search cats sleep")
    assert message["steps"][0]["sources"][0]["document_id"] == sent.json()["id"]
    assert served.http.delete(f"/api/documents/{sent.json()['id']}").status_code == 204
    assert served.http.get("/api/documents").json() == {"documents": []}
    refusal(served.http.post("/api/documents", files={"other": b"x"}), 400, "missing_required_parameter", "file")


def test_the_sidebar_comes_in_pieces(served: PageServer) -> None:
    made = [new(served) for _ in range(60)]
    first = served.http.get("/api/conversations").json()
    rest = served.http.get("/api/conversations", params={"before": first["conversations"][-1]["id"]}).json()
    assert (len(first["conversations"]), first["more"]) == (50, True)
    seen = [one["id"] for one in first["conversations"] + rest["conversations"]]
    assert seen[:60] == made[::-1]


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Why  is\nthe sky blue?", "Why is the sky blue?"),
        ("word " * 40, "word " * 12 + "…"),
        ("x" * 99, "x" * 60 + " …"),
    ],
)
def test_titles(question: str, title: str) -> None:
    assert title_of(question) == title
