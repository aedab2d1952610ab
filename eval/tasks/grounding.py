"""Answers from a given passage: is what they say found there, and is silence of the passage admitted?"""

from collections.abc import Sequence
from dataclasses import replace

from eval.data import Inputs, project_file
from eval.figures import Figure, Section, answered, balanced, errors_in, observed, share
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Request, chat
from eval.scores.grounding import Support, grounded_outcome, support
from eval.scores.score import Sample
from eval.scores.tools import calls_nothing
from eval.task import Task
from eval.tasks.almanac import refuses_all
from prompts.library import probe

KINDS = ("answerable", "unanswerable")
SUPPORTED = Meaning(
    formula="numbers, dates and names that stand in the passage, over all that the answers add to the questions",
    source="entity overlap as a check of faithfulness (Nan et al. 2021, arXiv:2102.09130)",
    caveat="right words in a wrong relation count as supported; calls and answers without such a span are left out",
)
BALANCED = Meaning(
    formula="mean of the share of answerable questions answered right and the share of unanswerable ones declined",
    source="SQuAD 2.0 (Rajpurkar et al. 2018, arXiv:1806.03822) asks both kinds; balanced accuracy; the data are ours",
    caveat="declining everything gives 0.5; 30 short passages about invented things",
)


def both_kinds(inputs: Inputs) -> list[Sample]:
    """Two questions on every passage: one that it answers and one that it doesn't."""
    passages = project_file("probes/grounded.jsonl")(inputs)
    return [
        {"id": f"{p['id']}/{kind}", "passage_id": p["id"], "passage": p["passage"], "kind": kind, **p[kind]}
        for p in passages
        for kind in KINDS
    ]


def ask_passage(sample: Sample, plain: bool) -> Request:
    return chat(probe("grounded"), max_tokens=64, tools=False)(sample, plain)


def summarise(records: Sequence[Record]) -> list[Section]:
    """What is right, what is admitted, and what is said without support."""
    answerable, unanswerable = ([r for r in records if r.sample["kind"] == kind] for kind in KINDS)
    outcome = grounded_outcome.meaning
    declined = share("unanswerable.declined", "declined where it is silent", unanswerable, _declined, meaning=outcome)
    figures = [
        balanced("balanced", "balanced: both right", (answerable, _right), (unanswerable, _declined), BALANCED),
        share("answerable.right", "right where the passage answers", answerable, _right, meaning=outcome),
        replace(declined, unmeasurable=refuses_all(answerable, _declined, "answerable questions")),
        _supported(records),
    ]
    return [Section("Answers from a given passage", figures)]


TASK = Task(
    name="grounding",
    data=both_kinds,
    asking=ask_passage,
    scores=(grounded_outcome,),
    cluster="passage_id",
    figures=summarise,
    about="does the model keep to a text that it is given, and say so where the text is silent?",
)


def _supported(records: Sequence[Record]) -> Figure:
    in_words = [r for r in answered(records) if calls_nothing(r.reply.tool_calls, r.reply.text)]
    counted = [(record, _support(record)) for record in in_words]
    spans = [observed(record, count.supported, count.spans) for record, count in counted if count.spans]
    return Figure("supported", "numbers, dates, names supported", "ratio", spans, errors_in(records), meaning=SUPPORTED)


def _support(record: Record) -> Support:
    return support(record.reply.text, record.sample["passage"], record.sample["question"])


def _right(record: Record) -> bool:
    return record.scores["grounded_outcome"] == "right"


def _declined(record: Record) -> bool:
    return record.scores["grounded_outcome"] == "declined"
