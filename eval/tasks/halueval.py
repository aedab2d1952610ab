"""HaluEval from a local copy: can a model tell a right answer from a made-up one, the knowledge before its eyes?"""

import random
from collections.abc import Sequence
from dataclasses import replace

from eval.data import Inputs, public_rows
from eval.figures import Figure, Section, answered, errors_in, observed, share
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Request, chat
from eval.scores.score import Sample
from eval.scores.text import words
from eval.scores.verdict import yes_or_no
from eval.task import Task, Variant
from prompts.library import probe

FILE = "halueval/qa_one-turn_data.jsonl.gz"
MADE_UP = "made up"
MOSTLY_UNREAD = 0.9
"""From this share of unread verdicts on, accuracy would say only that the question was not understood."""
HALUEVAL = "HaluEval (Li et al. 2023, arXiv:2305.11747)"
STYLE = "the made-up answers were written by ChatGPT and differ in style"
JUDGED = Meaning(
    formula="mean of the shares of made-up answers called so and of right ones not called so; unread counts as wrong",
    source=f"{HALUEVAL}, with both answers of every pair and the knowledge shown, which its code leaves out",
    caveat=f"always saying the same gives 0.5; {STYLE}: compare it with length",
)
YES_RATE = Meaning(
    formula='share of "yes, it is made up" among the verdicts; half of the answers are',
    source=f"{HALUEVAL}, ours",
    caveat="far from 0.5 it shows a habit rather than judgement",
    better="",
)
READ = Meaning(
    formula='share of replies that start or end with "yes" or "no", and not with both',
    source="ours",
    caveat='a verdict in other words is unread, for "correct" may mean the answer or the reproach',
)
LENGTH = Meaning(
    formula="the chance that the made-up answer has more words than the right one of another pair",
    source="baseline of ours",
    caveat="no model is asked: what a judge has to beat",
    better="",
)


def pairs(inputs: Inputs) -> list[Sample]:
    """Every pair as one sample that shows its right answer; the variant shows the made-up one."""
    return [row | {"answer": row["right_answer"]} for row in public_rows(FILE)]


def show_made_up(sample: Sample, rng: random.Random) -> Sample:
    return sample | {"answer": sample["hallucinated_answer"]}


def ask_verdict(sample: Sample, plain: bool) -> Request:
    return chat(probe("halueval"), max_tokens=16, tools=False)(sample, plain)


def summarise(records: Sequence[Record]) -> list[Section]:
    """How well made-up answers are told from right ones, and whether the verdicts are a habit."""
    replied, errors = answered(records), errors_in(records)
    verdicts = [record.scores["yes_or_no"] for record in replied]
    judged = [
        observed(record, verdict == ("yes" if _is_made_up(record) else "no"), against=_is_made_up(record))
        for record, verdict in zip(replied, verdicts, strict=True)
    ]
    unread = verdicts.count(None)
    read = [record for record in records if record.status != "ok" or record.scores["yes_or_no"]]
    lengths = [observed(r, len(words(r.sample["answer"]).split()), against=_is_made_up(r)) for r in replied]
    balanced = Figure("balanced", "balanced accuracy", "balanced_accuracy", judged, errors, unread, meaning=JUDGED)
    figures = [
        replace(balanced, unmeasurable=_hardly_read(unread, len(replied))),
        Figure("length.auroc", "  length alone (AUROC)", "auroc", lengths, errors, better="", meaning=LENGTH),
        share("yes", "called made up", read, lambda r: r.scores["yes_or_no"] == "yes", "", YES_RATE),
        share("read", "verdicts that can be read", records, lambda r: bool(r.scores["yes_or_no"]), meaning=READ),
    ]
    return [Section("HaluEval: made-up answers told from right ones", figures)]


TASK = Task(
    name="halueval",
    data=pairs,
    asking=ask_verdict,
    variants=(Variant(MADE_UP, show_made_up),),
    scores=(yes_or_no,),
    figures=summarise,
    size=200,
    about="can the model tell right answers from made-up ones, with the knowledge before its eyes?",
)


def _is_made_up(record: Record) -> bool:
    return record.variant == MADE_UP


def _hardly_read(unread: int, replies: int) -> str:
    if unread < MOSTLY_UNREAD * replies or not replies:
        return ""
    return f"{replies - unread} of {replies} replies give a verdict"
