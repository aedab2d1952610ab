"""Every sample of a run for the page's browser: texts once, records as small objects, and which figure has which."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.figures import Figure, unit_of
from eval.records import Record
from eval.replies import Answer, Compared, Drawn, Reply, Reported
from eval.report.thumbnails import Thumbnails
from eval.requests import Choose, Compare, Continue, Draw, Elsewhere, Generate, Likelihood, Request, request_digest
from eval.result import Result
from eval.task import Task

LONGEST_TEXT = 4000
NOT_AS_SENT = (
    "not as sent",
    "The task or its prompt files have changed since this was asked: what follows is what they would send today.",
)
WANTED = ("answers", "answer", "tool", "best_answer", "correct_answers")
"""Fields of samples that say what the answer should have been, whichever suite they are of."""

KEPT = "picture"
"""The field of a sample that holds a small picture, a PNG in base64."""


class Texts:
    """Each different text once, by its number; what is too long to read on a page is cut, and says so."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, content: str) -> int:
        if len(content) > LONGEST_TEXT:
            content = f"{content[:LONGEST_TEXT]} … ({len(content) - LONGEST_TEXT:,} characters more in records.jsonl)"
        return self._numbers.setdefault(content, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def shown(records: Sequence[Record], most: int | None) -> list[Record]:
    """All records, or at most so many of each task, evenly over their keys: they come in the order of the answers."""
    if most is None:
        return list(records)
    of_task: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.key):
        of_task.setdefault(record.task, []).append(record)
    return [
        group[number * len(group) // kept]
        for group in of_task.values()
        for kept in (min(most, len(group)),)
        for number in range(kept)
    ]


def embedded(result: Result, baseline: Result | None, most: int | None = None) -> str:
    """JSON that can stand inside a script element of any page: no "<", ">" or "&" is left in it.

    `most` as in `shown`.
    """
    records = shown(result.records, most)
    texts, thumbnails = Texts(), Thumbnails()
    before = {record.key: record for record in baseline.records} if baseline else {}
    plain = result.identity["plain"]
    tasks = {task.name: task for task in result.suite.tasks}
    numbers = {name: number for number, name in enumerate(tasks)}
    samples = [
        {"t": numbers[record.task]}
        | _sample(tasks[record.task], record, before.get(record.key), plain, texts)
        | _pictures(record, before.get(record.key), thumbnails)
        for record in records
    ]
    places = Places(records)
    known = baseline.figures if baseline else {}
    data = {
        "tasks": list(tasks),
        "samples": samples,
        "figures": [_members(figure, known.get(figure.key), places) for figure in result.figures.values()],
        "texts": texts.all(),
        "pictures": thumbnails.all(),
    }
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Places:
    """Where among the records an observation's samples are: its own record, else all of its sample or cluster."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._places: dict[tuple[str, str], list[int]] = {}
        for place, record in enumerate(records):
            for name in dict.fromkeys((unit_of(record), record.id, record.cluster)):
                self._places.setdefault((record.task, name), []).append(place)

    def of(self, figure: Figure) -> Iterable[tuple[int, int]]:
        """(number of the observation, number of a record) of the records behind the figure."""
        task = figure.key.split(".")[0]
        for number, observation in enumerate(figure.observations):
            found = (self._places.get((task, name)) for name in observation[:2])
            yield from ((number, place) for place in next(filter(None, found), ()))


def prompt_of(request: Request) -> list[tuple[str, str]]:
    """(role, text) of everything that was sent, but for the tools."""
    match request:
        case Generate(body):
            return [(message["role"], _said(message)) for message in body["messages"]]
        case Choose(context):
            return [("context", context)]
        case Draw(body):
            return [("user", body["prompt"])]
        case Likelihood(text) | Continue(text):
            return [("text", text)]
        case Elsewhere(_, prompt):
            return [("text", prompt)]
        case Compare(first, second):
            return [("text", first), ("text", second)]


def answer_of(reply: Reply | None, request: Request) -> str:
    """What came back, as a person reads it."""
    if reply is None:
        return ""
    if isinstance(reply, Answer):
        calls = [f"⚙ {_call(call)}" for call in reply.tool_calls]
        return "\n".join([reply.text, *calls] if reply.text else calls)
    if isinstance(reply, Drawn):
        return f"picture {reply.file.stem[:12]}"
    if isinstance(reply, Reported):
        return reply.text
    if isinstance(reply, Compared):
        return f"cosine {reply.cosine:.3f}"
    options = request.options if isinstance(request, Choose) else ("the whole text",)
    best = max(reply.logprobs, default=0.0)
    return "\n".join(
        f"{'▸' if logprob == best else ' '} {logprob:9.3f}  {option.strip()}"
        for option, logprob in zip(options, reply.logprobs, strict=False)
    )


def _sample(task: Task, record: Record, before: Record | None, plain: bool, texts: Texts) -> dict[str, Any]:
    seeded = record.sample | {"seed": record.repeat} if task.repeats > 1 else record.sample
    request = task.asking(seeded, plain)
    turns = prompt_of(request)
    if request_digest(request) != record.request:
        turns = [NOT_AS_SENT, *turns]
    told = _told(record.sample, [said for _, said in turns])
    wanted = [_wanted(record.sample[name]) for name in WANTED if record.sample.get(name)]
    fields = {"id": record.id, "p": [[role, texts.number(said)] for role, said in turns]}
    fields |= {key: value for key, value in (("v", record.variant), ("r", record.repeat)) if value}
    fields |= _answers(record, before, request, texts)
    fields |= {"s": {name: _plain(value) for name, value in record.scores.items()}} if record.scores else {}
    fields |= {"w": texts.number("\n".join(wanted))} if wanted else {}
    return fields | {"x": [[name, texts.number(_shown(value))] for name, value in told]}


def _answers(record: Record, before: Record | None, request: Request, texts: Texts) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if record.reply:
        fields = {"a": texts.number(answer_of(record.reply, request)), "l": round(record.reply.latency_s, 3)}
    if record.status == "error":
        fields |= {"e": texts.number(record.error or "no reason given")}
    if before:
        said = answer_of(before.reply, request) if before.reply else f"(no answer: {before.error})"
        fields |= {"b": texts.number(said)}
    return fields


def _pictures(record: Record, before: Record | None, thumbnails: Thumbnails) -> dict[str, int]:
    """What was drawn, what the baseline drew, and what the sample keeps of the picture that was wanted."""
    drawn = {"i": record.reply, "j": before.reply if before else None}
    numbers = {key: thumbnails.number(reply.file) for key, reply in drawn.items() if isinstance(reply, Drawn)}
    numbers["k"] = thumbnails.kept(record.sample[KEPT]) if KEPT in record.sample else None
    return {key: number for key, number in numbers.items() if number is not None}


def _told(sample: Mapping[str, Any], said: Sequence[str]) -> Iterable[tuple[str, Any]]:
    """What the sample says besides its prompt: the right answers, above all."""
    untold = (
        item for item in sample.items() if item[0] not in ("id", "messages", KEPT) and item[1] not in ("", None, [])
    )
    return (item for item in untold if item[1] not in said)


def _wanted(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(map(_shown, value))
    if isinstance(value, dict) and "name" in value:
        return f"⚙ {value['name']} {_shown(value.get('arguments', {}))}"
    return _shown(value)


def _members(figure: Figure, before: Figure | None, places: Places) -> dict[str, Any]:
    known = {o.unit: o.value for o in before.observations} if before else {}
    pairs = list(places.of(figure))
    seen = [figure.observations[number] for number, _ in pairs]
    fields: dict[str, Any] = {"of": [place for _, place in pairs], "v": [_plain(o.value) for o in seen]}
    fields |= {"b": [_plain(known[o.unit]) if o.unit in known else None for o in seen]} if known else {}
    fields |= {"g": [_plain(o.against) for o in seen]} if any(o.against != 1 for o in seen) else {}
    return fields | {"better": figure.better, "unit": figure.unit}


def _said(message: Mapping[str, Any]) -> str:
    calls = [f"⚙ {_call(call)}" for call in message.get("tool_calls") or ()]
    content = message.get("content") or ""
    return "\n".join([content if isinstance(content, str) else _shown(content), *calls]).strip()


def _call(call: Mapping[str, Any]) -> str:
    function = call.get("function") or {}
    return f"{function.get('name', '?')} {function.get('arguments', '')}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """As JSON knows it: booleans as 0 and 1, five digits, and infinities as words."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else str(value)
    return value
