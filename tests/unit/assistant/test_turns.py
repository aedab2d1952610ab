"""Turns: what is told is saved and passed on, however many watch, whenever they come, and however it ends."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping

import pytest

from assistant.conversations import Conversations, Progress
from assistant.events import Finished, Text, Told, ToolCall, ToolProgress, ToolStep
from assistant.tables import Message
from assistant.turn import MAX_UNREAD, Follower, Turn
from assistant.turns import Turns
from serving.api.errors import ApiError, shutting_down
from serving.database import Database
from serving.tables import User

pytestmark = pytest.mark.anyio
ADA = "a" * 32
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
STEP = {
    "name": "now",
    "arguments": "{}",
    "result": "noon",
    "said": "noon",
    "pictures": [],
    "sources": [],
    "failed": False,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def conversations(migrated_database: str) -> AsyncIterator[Conversations]:
    database = Database(migrated_database)
    async with database.session() as session:
        session.add(User(id=ADA, name="Ada"))
    yield Conversations(database)
    await database.close()


class Script:
    """An agent that tells what it is handed, and notices when it is let go."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Told | Exception | None] = asyncio.Queue()
        self.let_go = False

    def say(self, *told: Told | Exception | None) -> None:
        for one in told:
            self.queue.put_nowait(one)

    async def __call__(self) -> AsyncIterator[Told]:
        try:
            while (told := await self.queue.get()) is not None:
                if isinstance(told, Exception):
                    raise told
                yield told
        finally:
            self.let_go = True


async def begin(conversations: Conversations, turns: Turns, telling: AsyncIterator[Told]) -> Message:
    """A question in a new conversation, and its answer that is being told."""
    made = await conversations.create(ADA, model="assistant")
    question = await conversations.add_message(ADA, made.id, None, "user", "Why?")
    answer = await conversations.add_message(ADA, made.id, question.id, "assistant", "", state="running")
    with turns.claim(made.id):
        turns.start(answer, telling, lambda turn: None)
    return answer


async def ended(turns: Turns, answer: Message) -> None:
    while turns.of(answer.id):
        await asyncio.sleep(0.001)


async def test_what_is_told_is_saved(conversations: Conversations) -> None:
    script = Script()
    script.say(ToolCall("1", "now", "{}"), ToolStep("1", STEP), Text("Because "), Text("of "), Text("it."))
    script.say(Finished("stop", USAGE, 0.1, 0.2), None)
    async with Turns(conversations) as turns:
        answer = await begin(conversations, turns, script())
        await ended(turns, answer)
    kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.state, kept.error, kept.steps) == ("Because of it.", "done", None, [STEP])
    assert kept.usage == USAGE | {"first_token_s": 0.1, "seconds": 0.2}
    assert kept.finished_at > kept.created_at


async def test_an_unfinished_answer_is_saved_as_it_grows(conversations: Conversations) -> None:
    script = Script()
    async with Turns(conversations) as turns:
        answer = await begin(conversations, turns, script())
        for text in ("one ", "two "):
            script.say(Text(text))
            while not (kept := await conversations.message(ADA, answer.id)).content.endswith(text):
                await asyncio.sleep(0.05)
            assert kept.state == "running"
        script.say(None)


async def test_stopping_lets_the_model_go_and_keeps_what_was_said(conversations: Conversations) -> None:
    script = Script()
    async with Turns(conversations) as turns:
        answer = await begin(conversations, turns, script())
        script.say(Text("half an "), Text("answer"))
        while not turns.of(answer.id).content.endswith("answer"):
            await asyncio.sleep(0.001)
        await turns.stop_all(lambda turn: turn.message_id == answer.id)
        assert script.let_go
        assert turns.of(answer.id) is None
    kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.state, kept.usage["completion_tokens"]) == ("half an answer", "stopped", 2)


async def test_the_end_of_the_server_interrupts(conversations: Conversations) -> None:
    script, cut_off = Script(), Script()
    async with Turns(conversations) as turns:
        answers = [await begin(conversations, turns, one()) for one in (script, cut_off)]
        script.say(Text("half"))
        cut_off.say(Text("half"), shutting_down())
        while not (turns.of(answers[0].id).content and turns.of(answers[1].id) is None):
            await asyncio.sleep(0.001)
    for answer in answers:
        kept = await conversations.message(ADA, answer.id)
        assert (kept.content, kept.state, kept.error) == ("half", "interrupted", None)
    assert script.let_go


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ApiError(503, "The model cannot answer now: it died."), "The model cannot answer now: it died."),
        (ZeroDivisionError("secret"), "The server made a mistake; its log has the details."),
    ],
)
async def test_an_error_is_kept_as_a_sentence(conversations: Conversations, error: Exception, sentence: str) -> None:
    script = Script()
    script.say(Text("half"), error)
    async with Turns(conversations) as turns:
        answer = await begin(conversations, turns, script())
        await ended(turns, answer)
    kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.state, kept.error) == ("half", "failed", sentence)


async def test_a_conversation_is_answered_once_at_a_time(conversations: Conversations) -> None:
    script, other = Script(), Script()
    async with Turns(conversations) as turns:
        answer = await begin(conversations, turns, script())
        with pytest.raises(ApiError) as refused, turns.claim(answer.conversation_id):
            pass
        assert refused.value.status == 409
        await begin(conversations, turns, other())  # another conversation is free
        script.say(None)
        await ended(turns, answer)
        with turns.claim(answer.conversation_id), pytest.raises(ApiError), turns.claim(answer.conversation_id):
            pass
        other.say(None)


class Page:
    """What a page makes of the events that it gets."""

    def __init__(self) -> None:
        self.content = ""
        self.html = ""
        self.steps: list[dict] = []
        self.seqs: list[int] = []

    def read(self, follower: Follower) -> None:
        for event in follower.unread():
            self.seqs.append(event.data["seq"])
            match event.name:
                case "snapshot":
                    self.content, self.steps = event.data["content"], list(event.data["steps"])
                case "text":
                    self.content += event.data["text"]
                case "step":
                    self.steps.append(event.data["step"])


def telling(choose: random.Random) -> list[Told]:
    """A long answer in pieces of any size, with tools in between."""
    letters = "".join(choose.choice("ab *_`#\n-äπ🙂") for _ in range(600))
    told: list[Told] = []
    while letters:
        size = choose.randint(1, 9)
        told.append(Text(letters[:size]))
        letters = letters[size:]
        if choose.random() < 0.05:
            call = f"call_{len(told)}"
            told += [ToolCall(call, "now", "{}"), ToolProgress(call, "soon"), ToolStep(call, STEP | {"said": call})]
    return told


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_comes_whenever_sees_all_of_it_once(seed: int) -> None:
    choose = random.Random(seed)
    turn, told = Turn("c", "m"), telling(choose)
    comes = {page: choose.randint(0, len(told)) for page in range(6)}
    goes = {page: choose.randint(0, len(told)) for page in range(3)}  # these are reloaded: they lose all and come back
    reads = {page: choose.choice([0.02, 0.3, 1.0]) for page in range(6)}
    watching: dict[int, tuple[Page, Follower, object]] = {}
    for place in range(len(told) + 1):
        for page in range(6):
            if place in (comes[page], goes.get(page)):
                if page in watching:
                    await watching.pop(page)[2].__aexit__(None, None, None)
                context = turn.followed()
                watching[page] = (Page(), await context.__aenter__(), context)
        if place < len(told):
            turn.take(told[place])
        for number, (page, follower, _) in watching.items():
            if choose.random() < reads[number]:
                page.read(follower)
    assert len(watching) == 6
    for page, follower, context in watching.values():
        page.read(follower)
        assert page.content == turn.content == "".join(one.text for one in told if isinstance(one, Text))
        assert page.steps == turn.steps
        assert page.seqs == sorted(set(page.seqs))
        await context.__aexit__(None, None, None)


async def test_who_is_far_behind_gets_everything_at_once() -> None:
    turn, page = Turn("c", "m"), Page()
    async with turn.followed() as follower:
        for number in range(MAX_UNREAD):
            turn.take(Text(f"{number} "))
            turn.take(ToolStep(str(number), STEP | {"said": str(number)}))
        assert len(unread := follower._unread) <= MAX_UNREAD
        assert unread[0].name == "snapshot"
        page.read(follower)
    assert (page.content, page.steps) == (turn.content, turn.steps)


async def test_html_follows_the_text() -> None:
    turn = Turn("c", "m")
    rendering = asyncio.create_task(turn.keep_rendering(lambda: 1))
    async with turn.followed() as follower:
        for text, keep, html in (
            ("# One\n\n", 0, "<h1>One</h1>\n"),
            ("two *th", 0, "<h1>One</h1>\n<p>two *th</p>\n"),
            ("ree*\n\n", 0, "<h1>One</h1>\n<p>two <em>three</em></p>\n"),
            ("four\n", 0, "<h1>One</h1>\n<p>two <em>three</em></p>\n<p>four</p>\n"),
            ("five", 1, "<p>two <em>three</em></p>\n<p>four\nfive</p>\n"),
        ):
            turn.take(Text(text))
            assert await last_html(follower) == (keep, html)
    rendering.cancel()


async def last_html(follower: Follower) -> tuple[int, str]:
    """What the next event with HTML says."""
    while True:
        assert await follower.has_news(10)
        for event in follower.unread():
            if event.name == "html":
                return event.data["from"], event.data["html"]


async def test_nothing_is_rendered_while_nobody_watches() -> None:
    turn = Turn("c", "m")
    rendering = asyncio.create_task(turn.keep_rendering(lambda: 1))
    for _ in range(5):
        turn.take(Text("word "))
        await asyncio.sleep(0.01)
    assert turn.seq == 5  # html would have counted
    async with turn.followed() as follower:
        assert follower.unread()[0].data["html"] == "<p>word word word word word</p>\n"
    rendering.cancel()


class Forgetful(Conversations):
    """Its database is away for a while."""

    def __init__(self, conversations: Conversations, failures: int) -> None:
        self.__dict__ = conversations.__dict__
        self.failures = failures

    async def save(self, progress: Mapping[str, Progress]) -> int:
        if self.failures and any(reached["state"] != "running" for reached in progress.values()):
            self.failures -= 1
            raise ConnectionError("the database is away")
        return await super().save(progress)


async def test_an_end_is_told_when_it_is_saved(conversations: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.turns.TRY_AGAIN_S", 0.01)
    forgetful, script = Forgetful(conversations, failures=3), Script()
    async with Turns(forgetful) as turns:
        answer = await begin(conversations, turns, script())
        script.say(Text("all of it"), None)
        await ended(turns, answer)
        kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.state, forgetful.failures) == ("all of it", "done", 0)
