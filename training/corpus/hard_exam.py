"""The hard exam: what invites a model to bluff, in wordings of its own.

Names that nearly exist or don't, attributes that no text gave away, and claims that are wrong; beside them known facts
and true claims, so that silence is no merit. What aligns a model is measured here (docs/alignment.md); nothing is tuned
on it.
"""

import json
import random
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from training.corpus.almanac.exam import Exam
from training.corpus.almanac.wordings import Phrasing
from training.corpus.almanac.world import Fact, World, read_yaml

FRAMES = Path(__file__).parent / "hard_wordings.yaml"


class HardExam(Exam):
    """Draws its questions. `token_count` as in `Exam`, which this is with other wordings and without tools."""

    def __init__(self, world: World, phrasing: Phrasing, token_count: Callable[[str], int] | None = None) -> None:
        super().__init__(world, phrasing, "dev", token_count)
        self.which, self.frames, self.rng = "hard", read_yaml(FRAMES), random.Random("exam hard")

    def questions(self) -> Iterator[dict]:
        """All questions, as the eval room reads them."""
        groups = (self._facts(), self._unknown(), self._withheld(), self._premises())
        for number, question in enumerate(chain.from_iterable(groups)):
            yield {"id": f"hard-{number:05d}", **question}

    def _asked(self, fact: Fact, entity: str | None = None) -> tuple[str, str]:
        place = self.rng.randrange(len(self.frames["generic"]))
        noun = self.rng.choice(fact.relation.nouns)
        question = self.frames["generic"][place].replace("{r}", noun).replace("{e}", entity or fact.entity)
        return question[:1].upper() + question[1:], f"hard/generic/{place}"


def write_hard_exam(path: Path, world: World, phrasing: Phrasing, token_count: Callable[[str], int]) -> Path:
    """Write the hard exam as JSON lines."""
    lines = (
        json.dumps(question, ensure_ascii=False) for question in HardExam(world, phrasing, token_count).questions()
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
