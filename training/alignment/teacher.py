"""What a teacher is shown and its student is not: a system prompt, or a technique with its examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eval.prompting.technique import OURS as TECHNIQUES
from eval.prompting.technique import Technique, read_techniques
from prompts.library import FOLDER, persona
from serving.errors import UserError

PERSONAS = FOLDER / "personas"


class Teacher(NamedTuple):
    """How the teacher is asked: `technique` where there is one, otherwise `system` instead of the student's own."""

    system: str = ""
    technique: Technique | None = None

    def messages(self, asked: list[dict], system: str, shown: Sequence[tuple[str, str]]) -> list[dict]:
        """What the teacher reads in the place of the conversation `asked`, whose last message is the question.

        `system` is the student's system prompt where `asked` has none; `shown` are examples, as (question, answer).
        """
        own = asked[0]["content"] if asked[0]["role"] == "system" else system
        turns = [message for message in asked if message["role"] != "system"]
        if self.technique is None:
            return [{"role": "system", "content": self.system}, *turns]
        *before, question = self.technique.render(own, turns[-1]["content"], shown)
        return [*before, *turns[:-1], question]


def teacher_file(name: str) -> Path:
    """The file that `name` means: a text file at that path, a technique or a persona. Raises `UserError` for none."""
    candidates = (Path(name), TECHNIQUES / f"{name}.yaml", PERSONAS / f"{name}.md")
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        known = sorted(path.stem for folder in (TECHNIQUES, PERSONAS) for path in folder.iterdir())
        raise UserError(f"distil.teacher: {name} is no text file, and no prompt of ours: {', '.join(known)}.")
    return found


def read_teacher(name: str) -> Teacher:
    """The teacher called `name`. Raises `UserError` for a prompt that takes more than reading it."""
    path = teacher_file(name)
    if path.parent == PERSONAS:
        return Teacher(persona(name))
    if path.parent != TECHNIQUES:
        return Teacher(path.read_text(encoding="utf-8").strip())
    technique = next(one for one in read_techniques() if one.name == name)
    if technique.passages or technique.samples > 1 or technique.answer_after:
        raise UserError(
            f"distil.teacher: {name} searches texts, asks several times or cuts its answer out of a longer one; "
            "name a prompt whose reply is the answer."
        )
    return Teacher(technique=technique)
