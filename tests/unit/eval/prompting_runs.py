"""Runs of the prompting suite against a model whose skill in every technique is known."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from eval.prompting.comparison import Comparison, compare_techniques
from eval.prompting.technique import REFERENCE, Technique
from eval.records import Record
from eval.replies import Answer
from eval.scores.prompted import KNOWABLE
from eval.task import Case
from eval.tasks.prompting import PROMPTING, Prompting

QUESTIONS_IN_CLUSTER = 2


def technique(name: str, **fields) -> Technique:
    return Technique(**{"name": name, "title": name.title(), "messages": [{"user": "{{ question }}"}]} | fields)


def task_of(names: Sequence[str], full: bool = False) -> Prompting:
    """The prompting task with zero-shot and techniques of these names, which ask in the same words."""
    return Prompting(
        **{key: getattr(PROMPTING, key) for key in ("name", "data", "asking", "scores", "cluster", "figures")},
        techniques=[technique(name) for name in (REFERENCE, *names)],
        full=full,
    )


def samples(count: int) -> list[dict]:
    """Half of them can be known; two that are alike share a wording."""
    return [
        {
            "id": f"q{number}",
            "question": f"Question {number}?",
            "answers": ["Paris"] if number % 2 else [],
            KNOWABLE: bool(number % 2),
            "wording": f"w{number // QUESTIONS_IN_CLUSTER}",
            "examples": {"known": [], "unknown": []},
        }
        for number in range(count)
    ]


def raced(task: Prompting, cases: Sequence[Case], skills: Mapping[str, float], seed: int) -> tuple[Comparison, int]:
    """What comes of a model that answers so large a share well, and how many requests that took.

    Half of what decides an answer is the question and half is chance, so that techniques agree as real ones do.
    """
    rng = random.Random(seed)
    ease: dict[str, float] = defaultdict(rng.random)
    records: list[Record] = []
    while batch := list(_new(task, cases, records)):
        for case in batch:
            known = _rank(ease[case.sample["id"]] + ease[case.sample["wording"]])
            luck = known if rng.random() < 0.5 else rng.random()
            records.append(_answered(case, luck < skills.get(case.variant, skills[REFERENCE])))
    return compare_techniques(records), len(records)


def _rank(total: float) -> float:
    """The share of sums of two uniform numbers that are smaller."""
    return total * total / 2 if total < 1 else 1 - (2 - total) ** 2 / 2


def _new(task: Prompting, cases: Sequence[Case], records: Sequence[Record]) -> Iterator[Case]:
    done = {record.key for record in records}
    return (case for case in task.due(cases, records) if case.id not in done)


def _answered(case: Case, is_good: bool) -> Record:
    knowable = case.sample[KNOWABLE]
    text = ("Paris" if knowable else "I don't know.") if is_good else "Rome"
    scores = {"good_answer": is_good, "claim": "refusal" if is_good and not knowable else text}
    scores |= {} if knowable else {"bluffs": not is_good}
    reply = Answer(text, prompt_tokens=10, completion_tokens=2, latency_s=0.1)
    return Record(*case.id, case.sample["wording"], "", case.sample, "ok", reply=reply, scores=scores)
