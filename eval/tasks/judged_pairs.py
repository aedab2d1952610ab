"""Two answers to one question, given to a judge in both orders: how far may its preferences be trusted?

A row has "question", the answers "a" and "b", and the "votes" of people: "a", "b" or "tie" each. One with "prompt",
"chosen" and "rejected" is a pair with one vote.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from eval.data import Inputs, Missing, public_rows, user_rows
from eval.figures import Figure, Section, observed, share, unanswered
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Generate
from eval.scores.judged import Preference, judged_better
from eval.scores.score import Sample
from eval.task import ORIGINAL, Task, Variant
from eval.tasks.judged import bound_to, holds_records
from prompts.library import probe
from serving.errors import UserError

HARMLESS = "hh_rlhf_harmless/test.jsonl.gz"
SWAPPED = "swapped"
MT_BENCH = "Zheng et al. 2023, arXiv:2306.05685"
AGREEMENT = Meaning(
    formula="mean over pairs of the share of votes that are the verdict's; a tie by the judge is half of one",
    source=f"agreement with people on votes that are no ties, chance 0.5 ({MT_BENCH}, setup S2)",
    caveat="a verdict that changes with the order counts as a tie; read it against people among themselves",
)
PEOPLE = Meaning(
    formula="mean over pairs of the share of pairs of votes that are the same, ties left out",
    source=f"agreement of people with each other ({MT_BENCH})",
    caveat="no model is asked: what a judge can reach at most",
    better="",
)
LONGER = Meaning(
    formula="agreement with the votes of always preferring the answer with more characters",
    source="baseline of length (Dubois et al. 2024, arXiv:2404.04475)",
    caveat="no model is asked: what a judge has to beat",
    better="",
)
CONSISTENT = Meaning(
    formula="share of pairs with the same verdict in both orders",
    source=f"consistency under swapped positions ({MT_BENCH})",
    caveat="a judge that always calls it a tie is consistent: read it beside the ties",
)
FIRST = Meaning(
    formula="share of the verdicts that are no ties in which the answer shown first is preferred",
    source=f"position bias ({MT_BENCH})",
    caveat="0.5 is no bias, for each pair is shown in both orders",
    better="",
)
PREFERS_LONGER = Meaning(
    formula="share of decided pairs of answers, unequal in length, of which the longer one is preferred",
    source="length bias (Dubois et al. 2024, arXiv:2404.04475)",
    caveat="people prefer longer answers too: only what goes beyond theirs is bias",
    better="",
)
TIES = Meaning(
    formula="share of pairs that are called a tie, or judged differently in the other order",
    source=f"conservative treatment of swapped positions ({MT_BENCH})",
    caveat="high where the answers are alike, or the judge is at a loss",
    better="",
)
AGAIN = Meaning(
    formula="share of requests that get the same verdict when sent again",
    source="test-retest reliability",
    caveat="at temperature 0 with another seed: what is left of chance is the server's",
)


class Judged(NamedTuple):
    """One pair with the verdict on it: "a", "b" or "tie"."""

    record: Record
    verdict: str
    consistent: bool

    @property
    def votes(self) -> list[str]:
        """Of people, ties left out."""
        return [vote for vote in self.record.sample["votes"] if vote != "tie"]


def pairs(inputs: Inputs) -> list[Sample]:
    """The user's pairs, or those of HH-RLHF with a person's choice each.

    Raises `Missing` when records were named instead.
    """
    if inputs.questions is None:
        return [_of_dialogues(row) for row in public_rows(HARMLESS)]
    if holds_records(inputs.questions):
        raise Missing(f"{inputs.questions} holds records of a run, not pairs of answers")
    return [_sample({"id": str(number)} | row) for number, row in enumerate(user_rows(inputs.questions), 1)]


def asking(sample: Sample, plain: bool) -> Generate:
    """As of `eval.tasks.judged`; sent again with another seed."""
    a, b = ("b", "a") if sample["swapped"] else ("a", "b")
    shown = {"question": sample["question"], "first answer": sample[a], "second answer": sample[b]}
    messages = [
        {"role": "system", "content": probe("judge_pairs")},
        {"role": "user", "content": json.dumps(shown, ensure_ascii=False)},
    ]
    return Generate(bound_to(Preference, messages) | {"seed": sample["seed"]})


def summarise(records: Sequence[Record]) -> list[Section]:
    """How well the judge agrees with people, how well people do, and what moves it that should not."""
    judged = settled(records)
    voted = [pair for pair in judged if pair.votes]
    no_votes = "" if voted else "no pair has a person's vote"
    agreement = [
        _mean("agreement", "agreement with people", voted, _agreement, AGREEMENT),
        _mean("agreement.longer", "  always the longer answer", voted, _agreement_of_longer, LONGER),
    ]
    several = [pair for pair in judged if len(pair.votes) > 1]
    people = _mean("people", "  people among themselves", several, _among_people, PEOPLE)
    figures = [
        *(replace(figure, unmeasurable=no_votes) for figure in agreement),
        replace(people, unmeasurable="" if several else "no pair has two votes"),
        _share("consistent", "same verdict in both orders", judged, lambda pair: pair.consistent, CONSISTENT),
        _share("ties", "ties", judged, lambda pair: pair.verdict == "tie", TIES),
        *_biases(records, judged),
        _again(records),
        unanswered("unread", "no verdict in the form asked for", records),
    ]
    return [Section("The judge: how far to trust it", figures)]


def settled(records: Sequence[Record]) -> list[Judged]:
    """Every pair that was judged in both orders: a verdict that does not outlast the swap is a tie."""
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.status == "ok" and record.repeat == 0:
            found.setdefault(record.id, {})[record.variant] = record
    both = [of for of in found.values() if len(of) == 2]
    return [_settled(of[ORIGINAL], of[SWAPPED]) for of in both]


def _settled(original: Record, swapped: Record) -> Judged:
    one, other = (record.scores["judged_better"] for record in (original, swapped))
    return Judged(original, one if one == other else "tie", one == other)


def _biases(records: Sequence[Record], judged: Sequence[Judged]) -> list[Figure]:
    decided = [r for r in records if r.status != "ok" or r.scores["judged_better"] != "tie"]
    by_length = [pair for pair in judged if pair.verdict != "tie" and _longer(pair)]
    voted = [pair for pair in judged if pair.votes and _longer(pair)]
    return [
        share("first", "prefers the answer shown first", decided, _takes_first, "", FIRST),
        _share("longer", "prefers the longer answer", by_length, lambda p: p.verdict == _longer(p), PREFERS_LONGER),
        _mean(
            "longer.people", "  so do people", voted, lambda p: fmean(v == _longer(p) for v in p.votes), PREFERS_LONGER
        ),
    ]


def _takes_first(record: Record) -> bool:
    return record.scores["judged_better"] == ("b" if record.sample["swapped"] else "a")


def _again(records: Sequence[Record]) -> Figure:
    first = {(r.id, r.variant): r.scores["judged_better"] for r in records if r.status == "ok" and r.repeat == 0}
    again = [r for r in records if r.repeat > 0 and (r.status != "ok" or (r.id, r.variant) in first)]
    label = "same verdict when asked again"
    return share("again", label, again, lambda r: r.scores["judged_better"] == first[r.id, r.variant], meaning=AGAIN)


def _agreement(pair: Judged) -> float:
    return 0.5 if pair.verdict == "tie" else fmean(vote == pair.verdict for vote in pair.votes)


def _agreement_of_longer(pair: Judged) -> float:
    longer = _longer(pair)
    return fmean(vote == longer for vote in pair.votes) if longer else 0.5


def _among_people(pair: Judged) -> float:
    return fmean(one == other for one, other in combinations(pair.votes, 2))


def _longer(pair: Judged) -> str:
    """The answer with more characters; "" where they have as many."""
    a, b = (len(pair.record.sample[name]) for name in ("a", "b"))
    return "" if a == b else "a" if a > b else "b"


def _share(key: str, label: str, judged: Sequence[Judged], holds: Callable[[Judged], bool], meaning: Meaning) -> Figure:
    read = [observed(pair.record, holds(pair)) for pair in judged]
    return Figure(key, label, "share", read, better=meaning.better, meaning=meaning)


def _mean(key: str, label: str, judged: Sequence[Judged], value: Callable[[Judged], float], meaning: Meaning) -> Figure:
    read = [observed(pair.record, value(pair)) for pair in judged]
    return Figure(key, label, "mean", read, better=meaning.better, meaning=meaning)


def _of_dialogues(row: Sample) -> Sample:
    """HH-RLHF writes the whole conversation twice, with another last answer."""
    question, chosen = _last_answer(row["chosen"])
    return _sample(
        {"id": row["id"], "prompt": question, "chosen": chosen, "rejected": _last_answer(row["rejected"])[1]}
    )


def _last_answer(dialogue: str) -> tuple[str, str]:
    before, _, answer = dialogue.strip().rpartition("\n\nAssistant:")
    return before, answer.strip()


def _sample(row: Sample) -> Sample:
    """The row as a pair; a chosen answer is "a" or "b" by lot."""
    if {"prompt", "chosen", "rejected"} <= row.keys():
        vote = random.Random(str(row["id"])).choice("ab")
        a, b = (row["chosen"], row["rejected"]) if vote == "a" else (row["rejected"], row["chosen"])
        row = {"id": row["id"], "question": row["prompt"], "a": a, "b": b, "votes": [vote]}
    missing = {"question", "a", "b"} - row.keys()
    votes = row.get("votes", [])
    if missing or not isinstance(votes, list) or not set(votes) <= {"a", "b", "tie"}:
        wrong = f"no {min(missing)!r}" if missing else '\'votes\' other than a list of "a", "b" and "tie"'
        raise UserError(f"The pair {row['id']} has {wrong}: correct it.")
    return {name: row[name] for name in ("id", "question", "a", "b")} | {"votes": votes, "swapped": False}


JUDGED_PAIRS = Task(
    name="preferences",
    data=pairs,
    asking=asking,
    variants=(Variant(SWAPPED, lambda sample, rng: sample | {"swapped": True}),),
    scores=(judged_better,),
    repeats=2,
    figures=summarise,
    size=100,
    about="does a judge, the model that is asked, prefer what people prefer, whatever the order and the length?",
)
