"""Which prompting technique gives the best answers? The same questions in every technique, the poor ones given up."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eval.data import Inputs, Missing, user_rows
from eval.prompting.comparison import compare_techniques
from eval.prompting.conclusion import conclude
from eval.prompting.figures import summarise
from eval.prompting.passages import Passages, read_passages
from eval.prompting.race import part, search_blocks
from eval.prompting.technique import MOST_EXAMPLES, Technique, read_techniques
from eval.records import Record
from eval.requests import Request, chat
from eval.run import cluster_of
from eval.scores.prompted import KNOWABLE, bluffs, claim, good_answer
from eval.scores.score import Sample, Score
from eval.task import Case, Task, sampled
from eval.tasks.almanac import UNKNOWN, WORDING, with_values
from prompts.library import persona
from serving.errors import UserError

SIZE = 300
FACT = "fact"
LETTERS = "ABCDEFGHIJ"


def questions(inputs: Inputs) -> list[Sample]:
    """The exam's known facts and as many names that nobody can know; of a user's own file all questions.

    In a file without groups a question with "answers" can be known and one with none can't; one with "choices" has
    its options listed below it. Each brings other questions that may serve as examples.
    """
    path = inputs.exam()
    if not path.exists():
        raise Missing(f"there are no questions at {path}: name a file with --questions, or grow the almanac")
    asked = [_question({"id": str(number)} | row, f"{path}:{number}") for number, row in enumerate(user_rows(path), 1)]
    asked = [question for question in asked if question.get("group", FACT) in (FACT, *UNKNOWN)]
    known, unknown = ([question for question in asked if question[KNOWABLE] is side] for side in (True, False))
    if any("group" in question for question in asked):
        known = sampled(known, len(unknown) or None)
    asked = with_values([*known, *unknown], known) if all("relation" in question for question in known) else asked
    return [question | {"examples": _examples(question, known, unknown)} for question in asked]


def _question(row: Sample, place: str) -> Sample:
    """The row with what it takes to ask and score it. Raises `UserError` where that cannot be."""
    if not isinstance(row.get("question"), str):
        raise UserError(f"{place} has no 'question' in words: correct or delete the line.")
    if "choices" in row:
        return _with_options(row, place)
    if row.get("group", FACT) == FACT and not isinstance(row.get("answers"), list):
        raise UserError(f"{place} has no 'answers': give a list, an empty one where nobody can know.")
    return row | {"answers": row.get("answers", []), KNOWABLE: bool(row.get("answers")) and not _is_unknown(row)}


def _is_unknown(row: Sample) -> bool:
    return row.get("group") in UNKNOWN


def _with_options(row: Sample, place: str) -> Sample:
    options, right = row["choices"], row.get("answer")
    if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS) or right not in range(len(options)):
        raise UserError(f"{place} has 'choices' without the 'answer', the place of the right one, counted from 0.")
    listed = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    wrong = [option for number, option in enumerate(options) if number != right]
    asked = "\n".join([row["question"], *listed])
    return row | {"question": asked, "answers": [options[right]], "wrong": wrong, KNOWABLE: True}


def _examples(question: Sample, known: Sequence[Sample], unknown: Sequence[Sample]) -> dict[str, list[list[str]]]:
    """Other questions with their answers, known and not: of other wordings, and about other things."""
    rng = random.Random(f"examples/{question['id']}")
    drawn = (rng.sample(side, min(len(side), 3 * MOST_EXAMPLES)) for side in (known, unknown))
    kept = ([other for other in side if _is_foreign(other, question)][:MOST_EXAMPLES] for side in drawn)
    shown = ([[other["question"], other["answers"][0] if other[KNOWABLE] else ""] for other in side] for side in kept)
    return dict(zip(("known", "unknown"), shown, strict=True))


def _is_foreign(other: Sample, question: Sample) -> bool:
    shared = (other.get(key) and other.get(key) == question.get(key) for key in ("id", WORDING, "entity", "question"))
    return not any(shared)


@dataclass(frozen=True)
class Prompting(Task):
    """Asks every question in several techniques; `given` says which."""

    techniques: Sequence[Technique] = ()
    documents: Passages | None = None
    full: bool = False
    """Whether every technique is asked everything."""

    def given(self, inputs: Inputs) -> "Prompting":
        """With the user's techniques or ours; without documents none that needs them is asked, and yours may not."""
        techniques, without = read_techniques(inputs.prompts), {}
        documents = read_passages(inputs.documents) if inputs.documents else None
        if documents is None:
            searching = [technique.name for technique in techniques if technique.passages]
            if searching and inputs.prompts:
                raise UserError(
                    f"The prompt {searching[0]} needs texts to search: name a file of them with --documents."
                )
            without = {
                f"{self.name}.{name}": "it needs texts to search: name them with --documents" for name in searching
            }
            techniques = [technique for technique in techniques if not technique.passages]
        return replace(self, techniques=techniques, documents=documents, full=inputs.full, without=without)

    def cases(self, samples: Sequence[Sample], plain: bool = False) -> Iterator[Case]:
        """Question by question, so that all techniques are asked under the same load."""
        clusters = [cluster_of(self, sample) for sample in samples]
        searches = 0 if self.full else search_blocks(len(self.techniques), len(set(clusters)))
        blocks = part(clusters, searches)
        sizes = [blocks.count(block) for block in range(searches + 1)]
        design = {"techniques": [technique.name for technique in self.techniques], "sizes": sizes}
        for sample, block in zip(samples, blocks, strict=True):
            for technique in self.techniques:
                asked = self._asked(sample, technique, plain) | design | {"block": block}
                for repeat in range(technique.samples):
                    seeded = asked | {"seed": repeat} if technique.samples > 1 else asked
                    yield Case(self.name, seeded, technique.name, repeat, self.asking(seeded, plain))

    def _asked(self, sample: Sample, technique: Technique, plain: bool) -> Sample:
        kept = {name: value for name, value in sample.items() if name not in ("examples", "system")}
        examples = sample["examples"]
        shown = examples["known"][: technique.examples] + examples["unknown"][: technique.unknown_examples]
        passages = self.documents.best(sample["question"], technique.passages) if technique.passages else []
        system = "" if plain else sample.get("system", persona())
        messages = technique.render(system, sample["question"], shown, passages)
        return kept | {"messages": messages, "technique": technique.as_asked()}

    def due(self, cases: Sequence[Case], records: Sequence[Record]) -> list[Case]:
        """Those of the blocks that are open, in the techniques that are still in the race."""
        everybody = [technique.name for technique in self.techniques]
        fields = compare_techniques(records).decided if records else [everybody]
        return [
            case
            for case in cases
            if case.sample["block"] < len(fields) and case.variant in fields[case.sample["block"]]
        ]

    def left_out(self, records: Sequence[Record]) -> int:
        return compare_techniques(records).left_out

    def conclusion(self, records: Sequence[Record]) -> str:
        return conclude(records)


def asking(sample: Sample, plain: bool) -> Request:
    """The messages as the technique has them, the system prompt among them, and with tools unless `plain`."""
    technique = sample["technique"]
    ask = chat(max_tokens=technique["max_tokens"], temperature=technique["temperature"])
    return ask(sample | {"system": ""}, plain)


def _scores_of(sample: Sample) -> Sequence[Score]:
    return (good_answer, claim) if sample[KNOWABLE] else (good_answer, claim, bluffs)


PROMPTING = Prompting(
    name="prompting",
    data=questions,
    asking=asking,
    scores=_scores_of,
    cluster=WORDING,
    figures=summarise,
    size=SIZE,
    about="which way of asking gets the best answers, what does it cost, and does it make the model bluff?",
)
