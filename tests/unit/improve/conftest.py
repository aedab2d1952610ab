"""A home with a tiny model that is served, thumbs on its answers, and questions that need no engine."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import yaml

from assistant.conversations import Conversations
from assistant.feedback import FeedbackStore
from improve.loop import Wish
from serving.database import Database, database_url, migrate
from serving.model_folder import Lineage, finish_model_folder

DIALS = ("batch=4", "budget=16 examples", "held_out=0", "answer_tokens=64", "processes=1", "report_to=[]")
KEPT, BROKEN, OPEN = "said.right_option >= -0.5", "said.right_option <= -0.5", "said.right_option >= baseline"


async def _press(questions: list[str], consent: bool) -> None:
    migrate(url := database_url())
    database = Database(url)
    conversations, feedback = Conversations(database), FeedbackStore(database)
    for content in questions:
        chat = await conversations.create("local", model="assistant")
        question = await conversations.add_message("local", chat.id, None, "user", content)
        for said, thumb in (("yes", 1), ("no!", -1)):
            answer = await conversations.add_message(
                "local", chat.id, question.id, "assistant", said, model="assistant", version="1"
            )
            await feedback.give("local", answer.id, thumb, consent=consent)
    await database.close()


def grow_anew(model: Path) -> None:
    """Make another model of it."""
    template = model / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another #}")


class Home:
    """A home in `folder`: people press thumbs there, and the loop is run with rules of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = [{"id": str(n), "n": n, "choices": ["yes", "no!"], "answer": 0} for n in range(20)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = {
            "name": "said",
            "data": "rows.jsonl",
            "kind": "choose",
            "prompt": "Say {n}.",
            "scores": ["right_option"],
        }
        (folder / "suite.yaml").write_text(yaml.safe_dump({"name": "said", "tasks": [task]}))

    def press(self, first: int, last: int, consent: bool = True) -> None:
        """A liked and a disliked answer to each question of these numbers."""
        asyncio.run(_press([f"Say {number}." for number in range(first, last)], consent))

    def wish(self, rule: str = KEPT, method: str = "dpo", **more: object) -> Wish:
        rules = self.folder / "rules.yaml"
        rules.write_text(yaml.safe_dump({"rules": [rule]}))
        overrides = [f"{method}.{dial}" for dial in DIALS]
        suites = [str(self.folder / "suite.yaml")]
        return Wish(method=method, overrides=overrides, suites=suites, gate=rules, **more)

    def copy_model(self, name: str) -> Path:
        """Another model than the default one, called `name`."""
        folder = shutil.copytree(self.folder / "models" / "almanac", self.folder / "models" / name, dirs_exist_ok=True)
        grow_anew(folder)
        return folder

    @property
    def models(self) -> set[str]:
        return {folder.name for folder in (self.folder / "models").iterdir()}


@pytest.fixture
def house(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own whose default model is the tiny one."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    served = tmp_path / "models" / "almanac"
    shutil.copytree(tiny_model, served)
    finish_model_folder(served, Lineage(stage="sft", recipe="almanac"))
    return Home(tmp_path)
