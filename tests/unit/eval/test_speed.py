"""The speed suite: times and rates come out as the server made them, warm-up left out, nothing asked twice."""

import asyncio

import pytest

from eval.data import Inputs
from eval.figures import errors_in
from eval.records import Record
from eval.replies import Answer
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.scores.speed import between_tokens_s, first_token_s, tokens_in
from eval.suites.speed import SUITE
from eval.target import Target
from eval.tasks.speed import LANES, MEASURES, SPEED, questions, summarise


def answer(times, latency_s=None, tokens=None):
    return Answer("text", latency_s=latency_s or times[-1], token_times_s=times, completion_tokens=tokens)


def records(in_flight, replies, warm_up=False):
    sample = {"in_flight": in_flight, "warm_up": warm_up}
    names = [f"{in_flight}-{warm_up}-{place}" for place in range(len(replies))]
    return [
        Record("speed", name, "", 0, name, "r", sample, "ok" if reply else "error", None, reply)
        for name, reply in zip(names, replies, strict=True)
    ]


def whole_lane(in_flight, replies):
    """As many records as the lane has: these replies over and over, after the requests that warm up."""
    warm_up = records(in_flight, [replies[0]] * in_flight, warm_up=True)
    measured = LANES[in_flight]
    return [*warm_up, *records(in_flight, (replies * measured)[:measured])]


def figures_of(these):
    return {figure.key: figure for section in summarise(these) for figure in section.figures}


def test_every_request_has_a_question_of_its_own():
    samples = questions(Inputs())
    assert len({sample["question"] for sample in samples}) == len(samples) == sum(n + m for n, m in LANES.items())
    for in_flight, measured in LANES.items():
        lane = [sample["warm_up"] for sample in samples if sample["in_flight"] == in_flight]
        assert lane == [True] * in_flight + [False] * measured


def test_requests_stream_greedily_in_their_lane():
    sample = questions(Inputs())[-1]
    request = SPEED.asking(sample, False)
    assert request.in_flight == sample["in_flight"] == 16
    assert request.body["stream"] is True
    assert (request.body["temperature"], request.body["max_tokens"]) == (0, 64)
    assert request.body["messages"][-1]["content"] == sample["question"]


def test_scores_of_one_answer():
    reply = answer([0.5, 0.7, 1.1])
    assert first_token_s({}, reply) == 0.5
    assert between_tokens_s({}, reply) == pytest.approx(0.3)
    assert between_tokens_s({}, answer([0.5])) is None
    assert first_token_s({}, Answer("", token_times_s=[])) is None
    assert tokens_in(reply) == 3
    assert tokens_in(answer([0.5, 0.7, 1.1], tokens=4)) == 4


def answers_around(times, latency_s, count):
    """Answers of three tokens at about `times`, one a little later than the other."""
    late = [0.001 * latency_s * (place - count / 2) for place in range(count)]
    return [answer([time + extra for time in times], latency_s + extra, 3) for extra in late]


def test_figures_say_what_the_times_say():
    quick, slow = answers_around([0.1, 0.2, 0.3], 0.3, 40), answers_around([0.5, 1.0, 1.5], 2.0, 40)
    one, four = whole_lane(1, quick), whole_lane(4, [*quick, *slow])
    found = figures_of([*(r for r in one if not r.sample["warm_up"]), *records(1, slow[:1], warm_up=True), *four])
    value = {key: figure.estimate.value for key, figure in found.items() if figure.estimate}
    assert value["first_token_s.1_in_flight.median"] == pytest.approx(0.1, rel=0.1)
    assert value["first_token_s.4_in_flight.p95"] == pytest.approx(0.5, rel=0.1)
    assert value["answer_s.4_in_flight.p95"] == pytest.approx(2.0, rel=0.1)
    assert value["tokens_per_s.1_in_flight"] == pytest.approx(3 / 0.3, rel=0.05)
    # 80 answers of 0.3 or 2 seconds, four at a time: 40 x 2.3 / 4 seconds.
    assert value["tokens_per_s.4_in_flight"] == pytest.approx(240 / 23, rel=0.05)
    assert value["requests_per_s.4_in_flight"] == pytest.approx(80 / 23, rel=0.05)
    spread = found["tokens_per_s.4_in_flight"].estimate
    assert spread.low < spread.value < spread.high
    assert "first_token_s.16_in_flight.median" not in value


def test_errors_are_counted_and_too_few_answers_measure_nothing():
    half = [*answers_around([0.1, 0.2, 0.3], 0.3, 20), *[None] * 20]
    found = figures_of([*whole_lane(1, half), *whole_lane(4, [None])])
    assert found["unanswered.1_in_flight"].estimate.value == 0.5
    assert found["unanswered.4_in_flight"].estimate.value == 1
    assert found["first_token_s.1_in_flight.median"].errors == 40
    assert found["first_token_s.1_in_flight.median"].estimate
    assert found["first_token_s.1_in_flight.p95"].estimate is None
    for measure in MEASURES:
        assert all(figure.estimate is None for key, figure in found.items() if key.startswith(f"{measure.key}.4_"))


@pytest.mark.parametrize("key", ["tokens_per_s.16_in_flight", "answer_s.16_in_flight.median"])
def test_a_lane_that_was_cut_short_is_not_measured(key):
    lane = whole_lane(16, answers_around([0.1, 0.2, 0.3], 0.3, 40))
    assert figures_of(lane)[key].estimate
    assert figures_of(lane[15:35])[key].why_not == "only 20 of its 112 requests were sent, warm-up included"


def test_a_server_is_measured(serve_table, tmp_path):
    planned = plan(SUITE, Inputs())
    server = serve_table({sample["question"]: "It is all the same to me." for sample in questions(Inputs())})
    server.token_delay = 0.002
    run = Run(planned, identify(planned, "tiny", None, False), tmp_path)

    async def ask():
        async with Target(server.at, "tiny") as target:
            await run.ask(target, 32)

    asyncio.run(ask())
    result = read_result(tmp_path)
    assert errors_in(result.records) == 0
    assert len(server.log) == len(result.records) == len(planned.cases)
    value = {key: figure.estimate.value for key, figure in result.figures.items()}
    # The role comes a pause before the first word, and a pause follows every one of the seven.
    assert value["speed.first_token_s.1_in_flight.median"] > 0.002
    assert value["speed.answer_s.1_in_flight.median"] > 8 * 0.002
    assert value["speed.tokens_per_s.1_in_flight"] < 7 / (8 * 0.002)
    assert value["speed.unanswered.16_in_flight"] == 0
    assert all(result.figures[key].estimate for key in SUITE.headlines)
