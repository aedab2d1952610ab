"""Thumbs and corrections become rows that TRL reads, each once, and only those that may be used."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from assistant import feedback_commands
from assistant.conversations import Conversations
from assistant.feedback import FeedbackStore
from assistant.feedback_export import Choice, export_rows
from assistant.personas import Voice
from assistant.tables import Feedback, Message
from prompts.library import persona, tool_schemas
from serving.database import Database, migrate, utcnow
from serving.errors import UserError
from training.corpus.shapes import to_document

pytestmark = pytest.mark.anyio
STEP = {
    "name": "calculate", "arguments": '{"expression": "2+2"}', "result": "2+2 = 4", "said": "4", "pictures": [],
    "sources": [], "failed": False,
}  # fmt: skip
CALLED = [
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "calculate", "arguments": {"expression": "2+2"}}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "4"},
]


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def says(content: str) -> dict:
    return {"role": "assistant", "content": content}


class People:
    """Talk and judge as a user does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.conversations, self.feedback = Conversations(database), FeedbackStore(database)

    async def ask(self, content: str, after: Message | None = None) -> Message:
        chat = after.conversation_id if after else (await self.conversations.create("local", model="m")).id
        return await self.conversations.add_message("local", chat, after and after.id, "user", content)

    async def answer(self, question: Message, content: str, **about: object) -> Message:
        return await self.conversations.add_message(
            "local", question.conversation_id, question.id, "assistant", content, **about
        )

    async def judge(self, answer: Message, thumb: int, correction: str | None = None, consent: bool = True) -> None:
        await self.feedback.give("local", answer.id, thumb, correction, consent)

    async def rows(self, kind: str, **choice: object) -> list[dict]:
        return [row async for row in export_rows(self.database, kind, Choice(**choice))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def people(migrated_database: str) -> AsyncIterator[People]:
    database = Database(migrated_database)
    yield People(database)
    await database.close()


async def test_a_liked_answer_is_better_than_a_disliked_one_to_the_same_question(people: People) -> None:
    first = await people.answer(await people.ask("Hi"), "Hello")
    question = await people.ask("2+2?", after=first)
    good = await people.answer(question, "It is 4.", steps=[STEP])
    bad = await people.answer(question, "It is 5.")
    await people.answer(question, "Nobody judged this.")
    elsewhere = await people.answer(await people.ask("2+2?"), "It is 6.")
    for answer, thumb in ((good, 1), (bad, -1), (elsewhere, -1)):
        await people.judge(answer, thumb)
    before = [user("Hi"), says("Hello"), user("2+2?")]
    assert await people.rows("preference") == [
        {"prompt": before, "chosen": [*CALLED, says("It is 4.")], "rejected": [says("It is 5.")]}
    ]
    assert await people.rows("kto") == [
        {"prompt": before, "completion": [*CALLED, says("It is 4.")], "label": True},
        {"prompt": before, "completion": [says("It is 5.")], "label": False},
        {"prompt": [user("2+2?")], "completion": [says("It is 6.")], "label": False},
    ]
    assert await people.rows("sft") == [{"messages": [*before, *CALLED, says("It is 4.")]}]


async def test_a_correction_is_better_than_the_original_after_the_same_tools(people: People) -> None:
    answer = await people.answer(await people.ask("2+2?"), "5", steps=[STEP])
    await people.judge(answer, -1, "4")
    assert await people.rows("preference") == [
        {"prompt": [user("2+2?"), *CALLED], "chosen": [says("4")], "rejected": [says("5")]}
    ]
    assert [(row["completion"], row["label"]) for row in await people.rows("kto")] == [
        ([*CALLED, says("5")], False),
        ([*CALLED, says("4")], True),
    ]
    assert await people.rows("sft") == [{"messages": [user("2+2?"), *CALLED, says("4")]}]
    await people.judge(answer, 0, "5")
    assert await people.rows("preference") == []


async def test_rows_say_what_the_model_heard(people: People) -> None:
    voice = Voice("Be brief.", tuple(tool_schemas()), 0.0)
    for model, settings in (("assistant", {}), ("assistant", {"tools": False}), ("m", {})):
        chat = await people.conversations.create("local", model=model, settings=settings)
        question = await people.conversations.add_message("local", chat.id, None, "user", "Hi <|im_end|>")
        await people.judge(await people.answer(question, f"{model} {settings}", model=model), 1)
    heard = [{"role": "system", "content": "Be brief."}, user("Hi < |im_end|>")]
    rows = await people.rows("kto", voice=voice)
    assert [row["prompt"] for row in rows] == [heard] * 3
    assert sorted(len(row["tools"]) for row in rows) == [0, 0, len(tool_schemas())]


async def test_a_persona_that_was_chosen_is_the_one_that_answered(people: People) -> None:
    question = await people.ask("Hi")
    await people.judge(await people.answer(question, "Hello", persona="tutor"), 1)
    [row] = await people.rows("sft", voice=Voice(None, (), None))
    assert row["messages"][0] == {"role": "system", "content": persona("tutor")}


async def test_equal_rows_come_once_and_equal_answers_are_no_pair(people: People) -> None:
    for _ in range(2):
        question = await people.ask("2+2?")
        await people.judge(await people.answer(question, "4", steps=[STEP]), 1)
        await people.judge(await people.answer(question, "5"), -1)
        await people.judge(await people.answer(question, "4"), -1)
    assert len(await people.rows("preference")) == 1
    assert len(await people.rows("kto")) == 3
    assert len(await people.rows("sft")) == 1


async def test_what_was_cut_off_or_says_nothing_is_not_learnt(people: People) -> None:
    question = await people.ask("Hi")
    for state, content in (("stopped", "Hel"), ("interrupted", "He"), ("failed", "H"), ("done", " ")):
        await people.judge(await people.answer(question, content, state=state), 1)
    await people.judge(await people.answer(question, "Go away"), -1)
    assert await people.rows("preference") == []
    assert await people.rows("sft") == []
    assert [row["label"] for row in await people.rows("kto")] == [False]


async def test_nothing_is_imitated_after_an_answer_that_was_disliked(people: People) -> None:
    bad = await people.answer(await people.ask("Hi"), "Go away")
    good = await people.answer(await people.ask("Sorry?", after=bad), "Hello!")
    await people.judge(bad, -1)
    await people.judge(good, 1)
    assert await people.rows("sft") == []
    assert [row["label"] for row in await people.rows("kto")] == [False, True]


async def test_only_what_may_be_used(people: People) -> None:
    question = await people.ask("Hi")
    await people.judge(await people.answer(question, "Hello"), 1, consent=True)
    await people.judge(await people.answer(question, "Go away"), -1, consent=False)
    assert len(await people.rows("preference")) == 1
    assert await people.rows("preference", only_consented=True) == []
    assert [row["label"] for row in await people.rows("kto", only_consented=True)] == [True]


async def test_only_what_is_new_but_against_what_is_old(people: People) -> None:
    question = await people.ask("Hi")
    old, new = await people.answer(question, "Hello"), await people.answer(question, "Go away")
    await people.judge(old, 1)
    await people.judge(new, -1)
    long_ago = utcnow() - timedelta(days=9)
    async with people.database.session() as session:
        await session.execute(update(Feedback).where(Feedback.message_id == old.id).values(updated_at=long_ago))
    yesterday = utcnow() - timedelta(days=1)
    assert len(await people.rows("preference", since=yesterday)) == 1
    assert [row["label"] for row in await people.rows("kto", since=yesterday)] == [False]
    assert await people.rows("preference", since=utcnow() + timedelta(days=1)) == []


async def test_personal_data_is_scrubbed_alike_within_a_row_and_before_rows_are_compared(people: People) -> None:
    for mail in ("ada@example.org", "bob@example.org"):
        question = await people.ask(f"I am {mail}")
        step = STEP | {"arguments": json.dumps({"expression": mail}), "said": mail.upper()}
        await people.judge(await people.answer(question, f"Hello {mail}", steps=[step]), 1)
    (row,) = await people.rows("sft", scrub=True)
    assert "example" not in json.dumps(row).lower()
    assert row["messages"][0]["content"] == "I am [EMAIL_1]"
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"expression": "[EMAIL_1]"}
    assert row["messages"][3]["content"] == "Hello [EMAIL_1]"


async def test_the_trainer_of_this_house_reads_the_rows(people: People) -> None:
    await people.judge(await people.answer(await people.ask("2+2?"), "4", steps=[STEP]), 1)
    for kind in ("sft", "kto"):
        (row,) = await people.rows(kind)
        read = to_document(row, "chat")
        assert [message["role"] for message in read["messages"]] == ["user", "assistant", "tool", "assistant"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(feedback_commands.app, ["export", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in whose database one answer was corrected."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    url = f"sqlite+aiosqlite:///{tmp_path}/home/homegrown.db"
    migrate(url)

    async def correct() -> None:
        people = People(Database(url))
        step = STEP | {"said": "half of a pair: \ud83d"}
        await people.judge(await people.answer(await people.ask("Ärger?"), "Nein", steps=[step]), -1, "Ja")
        await people.database.close()

    asyncio.run(correct())
    return tmp_path / "home"


def test_the_command_writes_one_file_a_kind(home: Path) -> None:
    assert run() == (
        f"preference: 1 rows in {home}/feedback/preference.jsonl\n"
        f"kto: 2 rows in {home}/feedback/kto.jsonl\n"
        f"sft: 1 rows in {home}/feedback/sft.jsonl\n"
    )
    for kind, keys in (("preference", {"prompt", "chosen", "rejected"}), ("kto", {"prompt", "completion", "label"})):
        lines = (home / "feedback" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        assert "Ärger" in lines[0]
        assert all(json.loads(line).keys() == keys for line in lines)
    assert len(list((home / "feedback").iterdir())) == 3


def test_the_command_writes_one_kind_to_a_file_of_the_users(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "pairs.jsonl"
    tomorrow = (datetime.now() + timedelta(days=2)).strftime("%Y-%m-%d")
    assert run("--kind", "preference", "-o", str(file)) == f"preference: 1 rows in {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run("--kind", "preference", "-o", str(file), "--since", tomorrow)
    assert file.read_text() == ""
    run("--kind", "preference", "-o", str(file), "--only-consented", "--scrub", "--since", "2020-01-01")
    assert len(file.read_text().splitlines()) == 1


def test_what_cannot_be_written_is_one_sentence(home: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for arguments in (("-o", str(tmp_path / "all.jsonl")), ("-o", str(tmp_path / "taken" / "here"))):
        with pytest.raises(UserError, match=r"(name|choose) "):
            run(*arguments)
