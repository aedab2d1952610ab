"""Conversations in a real database: trees, search, what others may not see, what deleting leaves."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from assistant.conversation_export import export_json, export_markdown
from assistant.conversations import Conversations, ConversationView, NotFoundError
from assistant.feedback import FeedbackStore
from assistant.tables import Conversation, Feedback, Message
from serving.api.errors import ApiError
from serving.database import Database, utcnow
from serving.tables import User

pytestmark = pytest.mark.anyio
ADA, BOB = "a" * 32, "b" * 32


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    database = Database(migrated_database)
    async with database.session() as session:
        session.add_all([User(id=ADA, name="Ada"), User(id=BOB, name="Bob")])
    yield database
    await database.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def conversations(database: Database, pictures: Path) -> Conversations:
    return Conversations(database, pictures)


async def began(conversations: Conversations, *said: str, user_id: str = ADA, title: str = "") -> ConversationView:
    """A conversation in which question and answer take turns."""
    made = await conversations.create(user_id, title=title, model="assistant", persona=None, settings={})
    parent = None
    for number, content in enumerate(said):
        role = ("user", "assistant")[number % 2]
        parent = (await conversations.add_message(user_id, made.id, parent, role, content)).id
    return await conversations.get(user_id, made.id)


def drawn(pictures: Path, *names: str) -> list[dict]:
    """The steps of an answer that drew these pictures, whose files there are."""
    files = [f"{hashlib.sha256(name.encode()).hexdigest()}.png" for name in names]
    for file in files:
        (pictures / file).touch()
    return [
        {"name": "generate_image", "arguments": '{"prompt": "boat"}', "result": "A boat.", "said": "done",
         "pictures": [{"file": file, "prompt": "boat", "seed": 1} for file in files], "sources": [], "failed": False}
    ]  # fmt: skip


async def test_what_was_said_is_a_path_from_the_root_to_the_head(conversations: Conversations) -> None:
    view = await began(conversations, "Hi", "Hello", "How are you?", "Well")
    assert [message.content for message in view.path(view.conversation.head_id)] == [
        "Hi",
        "Hello",
        "How are you?",
        "Well",
    ]
    assert view.path(view.messages[1].id) == view.messages[:2]
    assert view.path(None) == []


async def test_regenerating_and_editing_make_siblings(conversations: Conversations) -> None:
    view = await began(conversations, "Hi", "Hello", "More", "Most")
    chat, (hi, hello, more, _) = view.conversation.id, view.messages
    again = await conversations.add_message(ADA, chat, hi.id, "assistant", "Good day")
    edited = await conversations.add_message(ADA, chat, None, "user", "Hey")
    view = await conversations.get(ADA, chat)
    assert [one.id for one in view.messages if one.parent_id == hi.id] == [hello.id, again.id]
    assert [one.id for one in view.messages if one.parent_id is None] == [hi.id, edited.id]
    assert view.conversation.head_id == edited.id
    await conversations.change(ADA, chat, head_id=hello.id)
    view = await conversations.get(ADA, chat)
    assert [message.content for message in view.path(view.conversation.head_id)] == ["Hi", "Hello", "More", "Most"]
    assert (await conversations.change(ADA, chat, head_id=hi.id)).head_id == again.id
    with pytest.raises(NotFoundError):
        view.message("nonsense")
    assert more.parent_id == hello.id


async def test_a_message_follows_only_one_of_its_own_conversation(conversations: Conversations) -> None:
    one, other = await began(conversations, "one"), await began(conversations, "other")
    for parent in (other.messages[0].id, "0" * 32):
        with pytest.raises(NotFoundError):
            await conversations.add_message(ADA, one.conversation.id, parent, "user", "x")
    with pytest.raises(NotFoundError):
        await conversations.change(ADA, one.conversation.id, head_id=other.messages[0].id)
    assert len((await conversations.get(ADA, one.conversation.id)).messages) == 1


async def test_an_answer_is_saved_while_it_is_written(conversations: Conversations) -> None:
    view = await began(conversations, "Hi")
    chat, question = view.conversation.id, view.messages[0]
    answer = await conversations.add_message(
        ADA, chat, question.id, "assistant", "", state="running", model="almanac", version="1a2b"
    )
    assert await conversations.save({answer.id: {"content": "Hel", "steps": [], "state": "running"}})
    kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.state, kept.finished_at, kept.model, kept.version) == (
        "Hel",
        "running",
        None,
        "almanac",
        "1a2b",
    )
    now = utcnow()
    whole = {
        "content": "Hello",
        "steps": [{"name": "now"}],
        "state": "done",
        "usage": {"completion_tokens": 2},
        "finished_at": now,
    }
    assert await conversations.save({answer.id: whole, "nobody": whole}) == 1
    kept = await conversations.message(ADA, answer.id)
    assert (kept.content, kept.steps, kept.usage, kept.finished_at) == (
        "Hello",
        [{"name": "now"}],
        {"completion_tokens": 2},
        now,
    )
    await conversations.delete(ADA, chat)
    assert await conversations.save({answer.id: whole}) == 0


async def test_what_a_dead_server_was_writing_is_interrupted(conversations: Conversations) -> None:
    view = await began(conversations, "Hi", "Hello", "More")
    running = await conversations.add_message(
        ADA, view.conversation.id, view.messages[2].id, "assistant", "Half an", state="running"
    )
    assert await conversations.interrupt_running() == 1
    assert await conversations.interrupt_running() == 0
    kept = await conversations.message(ADA, running.id)
    assert (kept.state, kept.content, kept.finished_at is not None) == ("interrupted", "Half an", True)
    assert (await conversations.message(ADA, view.messages[1].id)).state == "done"


async def test_the_list_is_newest_first_and_goes_on_after_any_of_it(
    conversations: Conversations, database: Database
) -> None:
    made = [await began(conversations, title=str(number)) for number in range(5)]
    await began(conversations, user_id=BOB)
    same = utcnow() - timedelta(days=1)
    async with database.session() as session:
        ids = [view.conversation.id for view in made[:3]]
        await session.execute(update(Conversation).where(Conversation.id.in_(ids)).values(updated_at=same))
    await conversations.add_message(ADA, made[3].conversation.id, None, "user", "Hi")
    everything = [one.title for one in await conversations.list(ADA)]
    assert everything == ["3", "4", "2", "1", "0"]
    seen, before = [], None
    while page := await conversations.list(ADA, limit=2, before=before):
        seen += [one.title for one in page]
        before = page[-1].id
    assert seen == everything
    with pytest.raises(NotFoundError):
        await conversations.list(BOB, before=before)


@pytest.mark.parametrize(
    ("search", "titles"),
    [
        ("BOAT", ["boats"]),
        (" ärger ", ["trouble"]),
        ("100%", ["percent"]),
        ("a_b", ["underscore"]),
        ("%", ["percent"]),
        ("_", ["underscore"]),
        ("\\", ["backslash"]),
        ("'; DROP TABLE messages; --", []),
        ("x" * 100_000, []),
        ("nul\0", []),
        ("", ["boats", "trouble", "percent", "underscore", "backslash"]),
    ],
)
async def test_search_finds_words_as_they_are(conversations: Conversations, search: str, titles: list[str]) -> None:
    await began(conversations, "Draw a boat.", title="boats")
    await began(conversations, "Nichts als ÄRGER", title="trouble")
    await began(conversations, "It is 100% sure", title="percent")
    await began(conversations, "What is a_b?", title="underscore")
    await began(conversations, "It is aXb, 100 times, C:\\", title="backslash")
    await began(conversations, "boat ärger 100% a_b", user_id=BOB)
    assert sorted(one.title for one in await conversations.list(ADA, search)) == sorted(titles)


async def test_titles_are_searched_too(conversations: Conversations) -> None:
    await began(conversations, "x", title="Über Boote")
    assert [one.title for one in await conversations.list(ADA, "über b")] == ["Über Boote"]
    assert await conversations.list(ADA, "unter") == []


async def test_nobody_reaches_what_belongs_to_somebody_else(conversations: Conversations, database: Database) -> None:
    view = await began(conversations, "Hi", "Hello")
    chat, message = view.conversation.id, view.messages[1].id
    feedback = FeedbackStore(database)
    for attempt in (
        conversations.get(BOB, chat),
        conversations.message(BOB, message),
        conversations.change(BOB, chat, model="other"),
        conversations.rename(BOB, chat, "mine"),
        conversations.change(BOB, chat, head_id=message),
        conversations.add_message(BOB, chat, message, "user", "x"),
        conversations.delete(BOB, chat),
        feedback.give(BOB, message, 1),
    ):
        with pytest.raises(NotFoundError) as caught:
            await attempt
        assert caught.value.status == 404
    after = await conversations.get(ADA, chat)
    assert (after.conversation.title, len(after.messages), after.feedback) == ("", 2, {})


async def test_deleting_leaves_neither_rows_nor_pictures_that_nothing_shows(
    conversations: Conversations, database: Database, pictures: Path
) -> None:
    one, other = await began(conversations, "Draw"), await began(conversations, "Draw", user_id=BOB)
    steps = drawn(pictures, "shared", "own")
    await conversations.add_message(ADA, one.conversation.id, one.messages[0].id, "assistant", "", steps=steps)
    answer = await conversations.add_message(
        BOB, other.conversation.id, other.messages[0].id, "assistant", "", steps=drawn(pictures, "shared")
    )
    (pictures / "secret").touch()
    await FeedbackStore(database).give(BOB, answer.id, 1)
    await conversations.delete(ADA, one.conversation.id)
    shared = steps[0]["pictures"][0]["file"]
    assert {file.name for file in pictures.iterdir()} == {shared, "secret"}
    await conversations.delete(BOB, other.conversation.id)
    assert {file.name for file in pictures.iterdir()} == {"secret"}
    async with database.reading() as session:
        for table in (Conversation, Message, Feedback):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


async def test_only_pictures_are_removed_whatever_a_step_says(conversations: Conversations, pictures: Path) -> None:
    (pictures / "secret").touch()
    (pictures.parent / "homegrown.db.bak").touch()
    view = await began(conversations, "Draw")
    steps = [{"pictures": [{"file": name} for name in ("secret", "../homegrown.db.bak", "")]}, {"name": "now"}]
    await conversations.add_message(ADA, view.conversation.id, None, "assistant", "", steps=steps)
    await conversations.delete(ADA, view.conversation.id)
    assert (pictures / "secret").exists()
    assert (pictures.parent / "homegrown.db.bak").exists()


async def test_feedback_is_one_a_message_and_can_be_taken_back(
    conversations: Conversations, database: Database
) -> None:
    view = await began(conversations, "Hi", "Hello")
    question, answer = view.messages
    feedback = FeedbackStore(database)
    await feedback.give(ADA, answer.id, 1, consent=True)
    given = await feedback.give(ADA, answer.id, -1, " Good day ", consent=False)
    assert (given.thumb, given.correction, given.consent) == (-1, "Good day", False)
    kept = (await conversations.get(ADA, view.conversation.id)).feedback
    assert {name: one.correction for name, one in kept.items()} == {answer.id: "Good day"}
    assert (await feedback.give(ADA, answer.id, 0, "  ")).thumb == 0
    assert (await conversations.get(ADA, view.conversation.id)).feedback == {}
    assert (await feedback.give(ADA, answer.id, 0)).correction is None
    for message_id, thumb in ((question.id, 1), (answer.id, 2)):
        with pytest.raises(ApiError) as caught:
            await feedback.give(ADA, message_id, thumb)
        assert caught.value.status == 400


async def test_a_conversation_is_exported_as_it_is_shown_and_as_a_whole(
    conversations: Conversations, database: Database, pictures: Path
) -> None:
    view = await began(conversations, "Draw\na boat", "No", title="A\n# boat")
    question, refused = view.messages
    steps = drawn(pictures, "boat")
    chat = view.conversation.id
    await conversations.add_message(
        ADA, chat, question.id, "assistant", "Here", steps=steps, model="almanac", version="1a2b", state="stopped"
    )
    await FeedbackStore(database).give(ADA, refused.id, -1)
    view = await conversations.get(ADA, chat)
    assert export_markdown(view) == (
        f"# A # boat\n\n*{view.conversation.created_at:%Y-%m-%d %H:%M} UTC. Answers are generated by AI.*\n\n"
        "## You\n\nDraw\na boat\n\n## almanac 1a2b\n\n"
        '> **generate_image** `{"prompt": "boat"}`\n> A boat.\n'
        f"> picture {steps[0]['pictures'][0]['file']}: boat\n\nHere\n\n*stopped*\n"
    )
    exported = export_json(view)
    assert [message["content"] for message in exported["messages"]] == ["Draw\na boat", "No", "Here"]
    assert [message["feedback"] for message in exported["messages"]] == [None, {"thumb": -1, "correction": None}, None]
    assert exported["messages"][2]["steps"] == steps
    assert exported["head_id"] == exported["messages"][2]["id"]
