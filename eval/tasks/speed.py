"""How fast answers come: one request at a time, and several at once, each request with a question of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from eval.data import Inputs, project_file
from eval.figures import SMALLEST_N, Figure, Section, answered, errors_in, observed, unanswered
from eval.meaning import Meaning
from eval.records import Record
from eval.replies import Answer
from eval.requests import Generate, chat
from eval.scores import speed as scores
from eval.scores.score import Sample
from eval.task import Task

LANES = {1: 80, 4: 80, 16: 96}
"""Requests in flight -> how many are measured so. As many as are in flight go before them, to warm up."""
SMALLEST_N_OF_P95 = 73
"""With fewer answers, none of them bounds the 95th percentile from above with 95 % confidence."""


@dataclass(frozen=True)
class Measure:
    """A statistic, for every lane, of what each of its answers says: (value, what it is set against) pairs."""

    key: str
    title: str
    statistics: Sequence[Literal["median", "p95", "ratio"]]
    meaning: Meaning
    of: Callable[[Answer, int], Iterable[tuple[float, float]]]
    """Given the answer and the number of requests in flight."""


def _first_token(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    return [(seconds, 1) for seconds in (reply.token_times_s or ())[:1]]


def _gaps(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    return [(seconds, 1) for seconds in scores.token_gaps_s(reply)]


def _whole(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    return [(reply.latency_s, 1)]


def _stream(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    times = reply.token_times_s or ()
    return [(scores.tokens_in(reply) - 1, times[-1] - times[0])] if len(times) > 1 else []


def _tokens(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    return [(scores.tokens_in(reply), reply.latency_s / in_flight)]


def _requests(reply: Answer, in_flight: int) -> list[tuple[float, float]]:
    return [(1, reply.latency_s / in_flight)]


WAITS, RATE = ("median", "p95"), ("ratio",)
MEASURES = (
    Measure("first_token_s", "Time to first token", WAITS, scores.first_token_s.meaning, _first_token),
    Measure("between_tokens_s", "Time between tokens", WAITS, scores.BETWEEN_TOKENS, _gaps),
    Measure("answer_s", "Time to the whole answer", WAITS, scores.answer_s.meaning, _whole),
    Measure("stream_tokens_per_s", "Tokens per second of one stream", RATE, scores.STREAM_TOKENS_PER_S, _stream),
    Measure("tokens_per_s", "Tokens per second of all streams", RATE, scores.TOKENS_PER_S, _tokens),
    Measure("requests_per_s", "Requests per second", RATE, scores.REQUESTS_PER_S, _requests),
)

# Without tools: a server holds a call back until it can read it, and its tokens come late.
_ask = chat(max_tokens=64, tools=False, logprobs=False, stream=True, stream_options={"include_usage": True})


def questions(inputs: Inputs) -> list[Sample]:
    """A different question for every request, so that neither the runner nor the server's cache answers twice."""
    unused = iter(project_file("probes/speed.jsonl")(inputs))
    return [
        question | {"in_flight": in_flight, "warm_up": place < in_flight}
        for in_flight, measured in LANES.items()
        for place, question in enumerate(islice(unused, in_flight + measured))
    ]


def asking(sample: Sample, plain: bool) -> Generate:
    """The question as a stream, in the lane of the sample."""
    return replace(_ask(sample, plain), in_flight=sample["in_flight"])


def summarise(records: Sequence[Record]) -> list[Section]:
    """Every measure by the number of requests in flight, without the requests that warm up."""
    lanes = {n: [record for record in records if record.sample["in_flight"] == n] for n in LANES}
    sections = [
        Section(m.title, [_figure(m, s, n, lane) for n, lane in lanes.items() for s in m.statistics]) for m in MEASURES
    ]
    failed = [unanswered(f"unanswered.{n}_in_flight", f"{n} in flight", _measured(lane)) for n, lane in lanes.items()]
    return [*sections, Section("Requests without an answer", failed)]


def _figure(measure: Measure, statistic: str, in_flight: int, lane: Sequence[Record]) -> Figure:
    records = _measured(lane)
    replies = answered(records)
    return Figure(
        f"{measure.key}.{in_flight}_in_flight" + (f".{statistic}" if len(measure.statistics) > 1 else ""),
        f"{in_flight} in flight" + (f", {statistic}" if len(measure.statistics) > 1 else ""),
        statistic,
        [observed(record, *pair) for record in replies for pair in measure.of(record.reply, in_flight)],
        errors_in(records),
        better=measure.meaning.better,
        unit="seconds" if measure.meaning.better == "low" else "number",
        meaning=measure.meaning,
        smallest_n=SMALLEST_N_OF_P95 if statistic == "p95" else SMALLEST_N,
        unmeasurable=_cut_short(in_flight, lane),
    )


def _measured(lane: Sequence[Record]) -> list[Record]:
    return [record for record in lane if not record.sample["warm_up"]]


def _cut_short(in_flight: int, lane: Sequence[Record]) -> str:
    """Why so many requests were not in flight most of the time, or ""."""
    due = in_flight + LANES[in_flight]
    return f"only {len(lane)} of its {due} requests were sent, warm-up included" if len(lane) < due else ""


SPEED = Task(
    name="speed",
    data=questions,
    asking=asking,
    scores=(scores.first_token_s, scores.between_tokens_s, scores.answer_s),
    figures=summarise,
    about="how soon an answer begins, how fast it goes on, and how many are answered at once",
)
