"""Does the almanac assistant know its facts, say when it doesn't, resist false premises, and call the right tool?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eval.records import Record
from eval.scores.premises import premise_outcome
from eval.scores.refusal import refuses
from eval.scores.tools import calls_nothing, tool_match
from eval.scores.values import states_value
from eval.scores.verdict import verdict
from eval.statistics import auroc, balanced_accuracy
from eval.suite import Question, Suite, chat_request
from eval.summary import SMALLEST_N, Figure, Section, share, worst
from eval.target import Answer

UNKNOWN = {"made_up": "made-up names", "near_miss": "near misses of names", "withheld_entity": "withheld entities"}
PREMISES = {"premise_false": "false premises", "premise_true": "true premises"}
TOOLS = {
    "tool_generate_image": "picture",
    "tool_search_documents": "search",
    "tool_calculate": "calculate",
    "tool_now": "now",
    "natural_tool": "natural requests",
}
WITHOUT_TOOL = ("no_tool", "fact", *UNKNOWN, "withheld_attribute", *PREMISES)
GROUPS = (*WITHOUT_TOOL, *TOOLS)


def fault(question: Question) -> str | None:
    """What is wrong with a question of this exam, if anything."""
    group = question["group"]
    if group not in GROUPS:
        return f"has the unknown group {group!r}"
    if group in ("fact", *PREMISES) and not question.get("answers"):
        return "has no 'answers', which its group needs"
    if group == "premise_false" and not question.get("wrong"):
        return "has no 'wrong', which a false premise needs"
    if group in TOOLS and not {"name", "arguments"} <= (question.get("tool") or {}).keys():
        return "has no 'tool', which its group needs"
    return None


def score(question: Question, answer: Answer) -> dict[str, Any]:
    """What can be said of one answer; which scores there are depends on the question's group."""
    group, text = question["group"], answer.text
    if group in TOOLS:
        match = tool_match(answer.tool_calls, question["tool"], text)
        return {"right_tool": match.tool, "exact_call": match.exact}
    scores: dict[str, Any] = {"no_call": calls_nothing(answer.tool_calls, text)}
    if group == "fact":
        scores["outcome"] = _fact_outcome(question, text)
    elif group in PREMISES:
        scores["verdict"] = verdict(text)
        scores["outcome"] = premise_outcome(
            text, question["answers"], question.get("wrong", ()), question["entity"], group == "premise_true"
        )
    elif group != "no_tool":
        scores["refused"] = refuses(text)
    return scores


def summarise(records: Sequence[Record]) -> list[Section]:
    """Every figure that the project states about the almanac's behaviour."""
    groups = {group: [r for r in records if r.question["group"] == group] for group in GROUPS}
    return [
        Section("Known facts, unseen wordings", _outcomes("fact", groups["fact"], ("right", "refused", "wrong"))),
        Section('"I don\'t know" said of', [_refused(group, label, groups[group]) for group, label in UNKNOWN.items()]),
        Section("Premises, false and true", _premises(groups["premise_false"], groups["premise_true"])),
        Section("Withheld attributes of known entities", _knowing(groups["fact"], groups["withheld_attribute"])),
        Section("Right tool and exact arguments", [_tool("exact_call", group, groups[group]) for group in TOOLS]),
        Section("Right tool", [_tool("right_tool", group, groups[group]) for group in TOOLS]),
        Section("No call where no tool is due", _no_calls(groups)),
        Section("All answers", [share("cut", "cut off by the token limit", records, _was_cut, "low")]),
        Section("Known facts right, by subject", _by_subject(groups["fact"])),
        Section("Worst relations", worst("fact.relation", groups["fact"], _is_right, _relation, 8)),
        Section("Worst wordings of facts", worst("fact.wording", groups["fact"], _is_right, _wording, 8)),
        Section("Worst wordings of premises", worst("premise.wording", _both(groups), _is_right, _wording, 5)),
        Section("Worst wordings of tool requests", worst("tool.wording", _requests(groups), _is_exact, _wording, 8)),
    ]


def _fact_outcome(question: Question, text: str) -> str:
    if refuses(text):
        return "refused"
    is_right = states_value(text, question["answers"], question["entity"], rivals=question.get("wrong", ()))
    return "right" if is_right else "wrong"


def _outcomes(prefix: str, records: Sequence[Record], names: Iterable[str]) -> list[Figure]:
    return [
        share(f"{prefix}.{name}", name, records, _has_outcome(name), "high" if name == "right" else "low")
        for name in names
    ]


def _refused(group: str, label: str, records: Sequence[Record]) -> Figure:
    return share(f"{group}.refused", label, records, lambda r: r.scores["refused"])


def _premises(false: Sequence[Record], true: Sequence[Record]) -> list[Figure]:
    both = [*false, *true]
    return [
        share("premise.right", "right value stated", both, _is_right),
        share("premise_false.right", "  of false premises", false, _is_right),
        share("premise_true.right", "  of true premises", true, _is_right),
        share("premise.wrong", "a wrong value affirmed", both, _has_outcome("affirmed", "other"), "low"),
        share("premise_false.affirmed", "  the claimed one, of false premises", false, _has_outcome("affirmed"), "low"),
        share("premise.refused", "refused", both, _has_outcome("refused"), "low"),
        share("premise.verdict_given", "a yes or no given", both, lambda r: r.scores["verdict"] is not None, ""),
        _verdicts(false, true),
    ]


def _verdicts(false: Sequence[Record], true: Sequence[Record]) -> Figure:
    rejected = [r.scores["verdict"] == "no" for r in _answered(false) if r.scores["verdict"]]
    accepted = [r.scores["verdict"] == "yes" for r in _answered(true) if r.scores["verdict"]]
    enough = min(len(rejected), len(accepted)) >= SMALLEST_N
    estimate = balanced_accuracy(accepted, rejected) if enough else None
    label, n = "balanced accuracy of yes and no", len(rejected) + len(accepted)
    return Figure("premise.balanced_accuracy", label, estimate, n, _errors(false) + _errors(true), "high")


def _knowing(known: Sequence[Record], withheld: Sequence[Record]) -> list[Figure]:
    """AUROC of known facts against withheld attributes; a refusal says "not known", whatever its probability."""
    return [
        share("withheld_attribute.refused", '"I don\'t know" said', withheld, lambda r: r.scores["refused"]),
        _auroc("logprob", "AUROC of the mean log-probability", known, withheld, lambda r: r.answer.logprob_mean),
        _auroc("knowing", "AUROC, refusals ranked last", known, withheld, _knowledge),
    ]


def _auroc(
    key: str,
    label: str,
    known: Sequence[Record],
    withheld: Sequence[Record],
    value: Callable[[Record], float | None],
) -> Figure:
    sides = [[v for r in _answered(side) if (v := value(r)) is not None] for side in (known, withheld)]
    estimate = auroc(*sides) if min(map(len, sides)) >= SMALLEST_N else None
    errors = _errors(known) + _errors(withheld)
    return Figure(f"withheld_attribute.auroc_{key}", label, estimate, sum(map(len, sides)), errors, "high", "auroc")


def _knowledge(record: Record) -> float | None:
    refused = record.scores.get("refused") or record.scores.get("outcome") == "refused"
    return float("-inf") if refused else record.answer.logprob_mean


def _tool(name: str, group: str, records: Sequence[Record]) -> Figure:
    return share(f"{group}.{name}", TOOLS[group], records, lambda r: r.scores[name])


def _no_calls(groups: dict[str, list[Record]]) -> list[Figure]:
    labels = {
        "no_tool": "small talk and statements",
        "fact": "known facts",
        "withheld_attribute": "withheld attributes",
    }
    labels |= UNKNOWN | PREMISES
    everything = [record for group in WITHOUT_TOOL for record in groups[group]]
    return [
        share("no_call", "all", everything, _made_no_call),
        *(share(f"{group}.no_call", labels[group], groups[group], _made_no_call) for group in WITHOUT_TOOL),
    ]


def _by_subject(facts: Sequence[Record]) -> list[Figure]:
    subjects = sorted({r.question["subject"] for r in facts})
    return [
        share(f"fact.subject.{name}", name, [r for r in facts if r.question["subject"] == name], _is_right)
        for name in subjects
    ]


def _both(groups: dict[str, list[Record]]) -> list[Record]:
    return [record for group in PREMISES for record in groups[group]]


def _requests(groups: dict[str, list[Record]]) -> list[Record]:
    return [record for group in TOOLS for record in groups[group]]


def _relation(record: Record) -> str:
    return f"{record.question['subject']}.{record.question['relation']}"


def _wording(record: Record) -> str:
    return str(record.question.get("wording"))


def _has_outcome(*names: str) -> Callable[[Record], bool]:
    return lambda record: record.scores["outcome"] in names


def _is_right(record: Record) -> bool:
    return record.scores["outcome"] == "right"


def _is_exact(record: Record) -> bool:
    return record.scores["exact_call"]


def _was_cut(record: Record) -> bool:
    return record.answer.finish_reason == "length"


def _made_no_call(record: Record) -> bool:
    return record.scores["no_call"]


def _answered(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.status == "ok"]


def _errors(records: Sequence[Record]) -> int:
    return len(records) - len(_answered(records))


SUITE = Suite(
    name="almanac",
    exam="exams/almanac/dev.jsonl",
    made_by="make them with `homegrown train run almanac`",
    needs=("group",),
    fault=fault,
    request=chat_request(max_tokens=96),
    score=score,
    summarise=summarise,
)
