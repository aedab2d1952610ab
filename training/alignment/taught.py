"""Prompts for context distillation: as the student reads them, and beside that as the teacher does ("taught")."""

import random
from functools import cached_property
from itertools import islice

from serving.errors import UserError
from training.alignment.examples import Examples, Unusable, answer_of, checked, messages_of
from training.alignment.section import DistilSection, PreferenceSource
from training.alignment.teacher import Teacher
from training.corpus.readers import Row
from training.rendering import Renderer

SHELF = 400
"""How many rows of each source are looked through for examples that a technique shows."""


class TaughtExamples(Examples):
    """Examples of prompts. Rows with a `chosen` answer are what a technique's examples are taken from."""

    def __init__(self, section: DistilSection, renderer: Renderer, seed: int, teacher: Teacher) -> None:
        super().__init__(section, "prompt", renderer, seed)
        self.teacher = teacher

    def _example(self, row: Row, spec: PreferenceSource, rng: random.Random) -> dict:
        example = super()._example(row, spec, rng)
        asked = messages_of(row.data["prompt"])
        if asked[-1]["role"] != "user" or not asked[-1]["content"].strip():
            raise Unusable("prompts that do not end with a question")
        shown = self._shown(asked[-1]["content"])
        taught = self.teacher.messages(asked, self.renderer.dress.system or "", shown)
        before, _ = self.renderer.exchange(taught, {"role": "assistant", "content": "."}, row.data.get("tools"))
        self._check_length({"prompt": before})
        return example | {"taught": before, "entity": str((row.data.get("sample") or {}).get("entity") or "")}

    def _shown(self, question: str) -> list[tuple[str, str]]:
        """Other questions with their answers, the same ones whenever this question comes."""
        technique = self.teacher.technique
        if technique is None:
            return []
        rng = random.Random(f"{self.seed}/{question}")
        shown = []
        for shelf, count in zip(self._shelves, (technique.examples, technique.unknown_examples), strict=True):
            others = [pair for pair in shelf if pair[0] != question]
            if len(others) < count:
                raise UserError(
                    f"The technique {technique.name} shows {count} other questions, of which the sources have "
                    f"{len(others)} with a 'chosen' answer: add such rows, or name another teacher."
                )
            shown += rng.sample(others, count)
        return shown

    @cached_property
    def _shelves(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Questions with their answers, and questions that nobody can answer, with ""."""
        known, unknown = {}, {}
        for spec, report in zip(self.section.sources, self.reports, strict=True):
            for row in islice(self._rows(spec, report), SHELF):
                pair = _answered(row)
                if pair is None:
                    continue
                if (row.data.get("sample") or {}).get("answers", True):
                    known[pair[0]] = pair[1]
                else:
                    unknown[pair[0]] = ""
        return list(known.items()), list(unknown.items())


def _answered(row: Row) -> tuple[str, str] | None:
    """A single question and the answer to it in words; None of any other row."""
    try:
        asked, answer = messages_of(checked(row).get("prompt")), answer_of(row.data.get("chosen"))
    except Unusable:
        return None
    said = answer[-1].get("content")
    return (asked[0]["content"], said) if len(asked) == 1 and said else None
