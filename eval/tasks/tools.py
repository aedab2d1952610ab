"""Tools: the right one, with the right arguments, none where none is due, and what is made of what they return."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from eval.data import Inputs, project_file
from eval.figures import SMALLEST_N, Figure, Section, answered, balanced, mean, without_merit
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Generate, chat
from eval.scores.almanac import exact_call, no_call, right_tool
from eval.scores.score import Sample, Score
from eval.scores.tools import recovers, repeats_call, same_call, tells_failure, uses_result
from eval.task import Task, sampled
from eval.tasks.almanac import SELDOM, TOOLS, WORDING, calls_hardly, questions
from prompts.library import tool_schemas

EACH = 90
"""Questions of every kind of the exam; all there are of the natural ones."""
FEW = 5
"""There are no more probes of some kinds."""
MOSTLY = 0.9
"""At the share of one side where the other side is no merit."""
CALLING = Meaning(
    formula="mean of the share of requests with the right tool called and the share of other messages without a call",
    source="balanced accuracy, (Youden's J + 1) / 2 (Youden 1950, Cancer 3:32), of when to call which tool",
    caveat="a model that never calls a tool gets 0.5; says nothing of the arguments",
)
COPING = Meaning(
    formula="mean of the share of good results that are used and the share of failures that are recovered from",
    source="balanced accuracy, (Youden's J + 1) / 2 (Youden 1950, Cancer 3:32), of what to make of a result",
    caveat="a model that says of everything that it failed gets 0.5",
)


def asking(sample: Sample, plain: bool) -> Generate:
    """The tools are offered even where system prompt and tools are left out: here they are the question."""
    return Generate(chat(max_tokens=96)(sample, plain).body | {"tools": tool_schemas()})


def exam_requests(inputs: Inputs) -> list[Sample]:
    """As many of the exam's requests for each tool, and of its messages that are no request."""
    asked = questions(inputs)
    kinds = [[question for question in asked if question["group"] == group] for group in (*TOOLS, "no_tool")]
    return [question for kind in kinds for question in sampled(kind, EACH)]


def calling_scores(sample: Sample) -> Sequence[Score]:
    return (right_tool, exact_call, same_call) if sample["tool"] else (no_call,)


def recovery_scores(sample: Sample) -> Sequence[Score]:
    return (uses_result, repeats_call) if sample["kind"] == "result" else (recovers, repeats_call)


def summarise_calls(records: Sequence[Record]) -> list[Section]:
    """How well calls are made where one is due, and left out where none is; each beside the other."""
    due = [record for record in records if record.sample["tool"]]
    others = [record for record in records if not record.sample["tool"]]
    quiet = without_merit([mean("no_call", "no call where none is due", others, no_call)], calls_hardly(due))
    label = "balanced: right tool when due, else none"
    both = balanced("calling", label, (due, _has(right_tool)), (others, _has(no_call)), CALLING)
    loose = mean("same_call", "but for case, blanks, articles", due, same_call)
    return [
        Section(
            "A call when it is due, else none",
            [both, mean("right_tool", "right tool when due", due, right_tool), *quiet],
        ),
        Section("Right arguments too", [loose, mean("exact_call", "to the letter", due, exact_call)]),
        Section("Right tool, by tool", _by(_tool, right_tool, due)),
        Section("Right arguments, by tool", _by(_tool, same_call, due)),
    ]


def summarise_recovery(records: Sequence[Record]) -> list[Section]:
    """What the turn after a tool's result does with it."""
    good = [record for record in records if record.sample["kind"] == "result"]
    bad = [record for record in records if record.sample["kind"] != "result"]
    why = _makes_nothing_of(good)
    told = without_merit([mean("recovers", "failures recovered from", bad, recovers)], why)
    label = "balanced: results used, failures told"
    both = balanced("coping", label, (good, _has(uses_result)), (bad, _has(recovers)), COPING)
    return [
        Section("The turn after a result", [both, mean("uses_result", "good results used", good, uses_result), *told]),
        Section("Failures recovered from, by what went wrong", without_merit(_by(_kind, recovers, bad), why)),
        Section("The same call again, by what was returned", without_merit(_by(_kind, repeats_call, records), why)),
    ]


def _has(score: Score) -> Callable[[Record], bool]:
    return lambda record: record.scores[score.name]


def _makes_nothing_of(good: Sequence[Record]) -> str:
    """Why it is no merit to tell of failures or to make no call again, or ""."""
    given = answered(good)
    failed = sum(tells_failure(record.reply.text) for record in given)
    used = sum(record.scores["uses_result"] for record in given)
    if len(given) < SMALLEST_N or failed >= MOSTLY * len(given):
        return f"it says of {failed} of {len(given)} good results too that they failed"
    return f"it uses only {used} of {len(given)} good results" if used <= SELDOM * len(given) else ""


def _by(kind: Callable[[Record], str], score: Score, records: Sequence[Record]) -> list[Figure]:
    return [
        replace(mean(f"{score.name}.{name}", name, [r for r in records if kind(r) == name], score), smallest_n=FEW)
        for name in sorted(set(map(kind, records)))
    ]


def _tool(record: Record) -> str:
    return record.sample["tool"]["name"]


def _kind(record: Record) -> str:
    return record.sample["kind"]


EXAM = Task(
    name="tools",
    data=exam_requests,
    asking=asking,
    scores=calling_scores,
    cluster=WORDING,
    figures=summarise_calls,
    about="does it call the right tool with the right arguments, in wordings it was not taught, and else none?",
)
PROBES = Task(
    name="tool_probes",
    data=project_file("probes/tools.jsonl"),
    asking=asking,
    scores=calling_scores,
    figures=summarise_calls,
    about="the same with everyday requests written for any model that knows tools",
)
RECOVERY = Task(
    name="tool_recovery",
    data=project_file("probes/tools_recovery.jsonl"),
    asking=asking,
    scores=recovery_scores,
    figures=summarise_recovery,
    about="does it use what a tool returned, and say so instead of calling again where that is no good?",
)
