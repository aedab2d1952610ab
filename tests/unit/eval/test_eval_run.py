"""The runner against a real server: nothing is lost, nothing is asked twice, nothing bad looks good."""

import asyncio
import json

import pytest

from eval import target as target_module
from eval.data import Inputs, file, rows
from eval.records import RecordFile, read_records
from eval.requests import chat
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.scores.score import score
from eval.scores.values import states_value
from eval.suite import Suite, find_suite
from eval.target import served_model
from eval.task import Task, sampled
from serving.errors import UserError


@score(formula="1 if right", source="ours", caveat="none")
def right(sample, reply):
    return states_value(reply.text, sample["answers"])


def capitals(questions):
    task = Task(name="capitals", data=lambda inputs: questions, asking=chat(max_tokens=32), scores=(right,))
    return Suite(name="capitals", about="", tasks=(task,))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(target_module, "FIRST_WAIT_S", 0.001)


def questions_of(count):
    return [{"id": f"q{i}", "question": f"Question {i}?", "answers": ["Paris"], "group": "fact"} for i in range(count)]


def table_of(questions, reply="It is Paris."):
    return {question["question"]: reply for question in questions}


def open_run(folder, questions, model="tiny", plain=False):
    planned = plan(capitals(questions), Inputs(), plain)
    return Run(planned, identify(planned, model, None, plain), folder)


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """Results are read with the suite of these tests."""
    monkeypatch.setattr("eval.result.joined", lambda names: capitals([]))


def evaluate(run, base_url, concurrency):
    """Ask what is missing; the figures and the records."""

    async def ask():
        async with target_module.Target(base_url, run.identity["model"], concurrency) as target:
            await run.ask(target, concurrency)

    asyncio.run(ask())
    result = read_result(run.folder)
    return result.figures, result.records


def landed(run):
    return [json.loads(line) for line in run.records_path.read_text().splitlines()]


def test_every_question_becomes_a_record_with_its_scores(serve_table, tmp_path):
    questions = questions_of(30)
    server = serve_table(table_of(questions))
    run = open_run(tmp_path, questions)
    figures, records = evaluate(run, server.at, 8)
    assert {record.id for record in records} == {question["id"] for question in questions}
    first = landed(run)[0]
    assert first["scores"] == {"right": True}
    assert first["reply"]["logprob_mean"] == pytest.approx(-0.2)
    assert first["reply"]["logprob_min"] == -0.3
    assert first["reply"]["latency_s"] > 0
    assert figures["capitals.right"].estimate.value == 1


def test_requests_are_greedy_and_carry_prompt_and_tools_unless_plain(serve_table, tmp_path):
    questions = questions_of(1)
    server = serve_table(table_of(questions))
    evaluate(open_run(tmp_path / "a", questions), server.at, 1)
    evaluate(open_run(tmp_path / "b", questions, plain=True), server.at, 1)
    served, plain = server.log
    assert (served["temperature"], served["logprobs"], served["model"]) == (0, True, "tiny")
    assert served["messages"][0]["role"] == "system"
    assert len(served["tools"]) == 4
    assert "tools" not in plain
    assert [message["role"] for message in plain["messages"]] == ["user"]


def test_concurrency_is_bounded(serve_table, tmp_path):
    questions = questions_of(40)
    server = serve_table(table_of(questions))
    server.delay = 0.02
    evaluate(open_run(tmp_path, questions), server.at, 5)
    assert server.most_in_flight == 5


def test_equal_requests_are_sent_once_and_recorded_each(serve_table, tmp_path):
    questions = [question | {"question": "Same?"} for question in questions_of(6)]
    server = serve_table({"Same?": "Paris"})
    _, records = evaluate(open_run(tmp_path, questions), server.at, 3)
    assert len(server.log) == 1
    assert len(records) == 6


@pytest.mark.parametrize("failure", [429, 500, 503, "hang up"])
def test_passing_failures_are_tried_again(serve_table, tmp_path, failure):
    questions = questions_of(3)
    server = serve_table(table_of(questions) | {"Question 1?": [failure, failure, "Paris"]})
    _, records = evaluate(open_run(tmp_path, questions), server.at, 2)
    assert [record.status for record in records] == ["ok"] * 3
    assert len(server.log) == 5


BAD_REPLIES = {
    "refused by the server": 400,
    "not JSON": b"<html>",
    "no choices": b'{"choices": []}',
    "not finite": b'{"choices": [{"message": {"content": "Paris"}, "logprobs": {"content": [{"logprob": NaN}]}}]}',
    "always failing": 500,
}


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_one_bad_request_costs_one_record(serve_table, tmp_path, reply):
    questions = questions_of(50)
    server = serve_table(table_of(questions) | {"Question 7?": reply})
    figures, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    failed = [record for record in records if record.status == "error"]
    assert len(records) == 50
    assert [record.id for record in failed] == ["q7"]
    assert failed[0].error
    assert failed[0].scores == {}
    figure = figures["capitals.right"]
    assert (figure.n, figure.errors) == (49, 1)


def test_a_run_of_errors_measures_nothing(serve_table, tmp_path):
    questions = questions_of(20)
    server = serve_table(table_of(questions, 400))
    figures, _ = evaluate(open_run(tmp_path, questions), server.at, 8)
    assert figures
    assert all(figure.estimate is None for figure in figures.values())


def test_resume_sends_only_what_is_missing(serve_table, tmp_path):
    questions = questions_of(50)
    table = table_of(questions) | {"Question 7?": [400, "Paris"]}
    server = serve_table(table)
    evaluate(open_run(tmp_path, questions), server.at, 8)
    server.log.clear()
    _, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    assert [body["messages"][-1]["content"] for body in server.log] == ["Question 7?"]
    assert {record.status for record in records} == {"ok"}
    server.log.clear()
    evaluate(open_run(tmp_path, questions), server.at, 8)
    assert server.log == []


def test_a_line_cut_short_by_a_crash_is_asked_again(serve_table, tmp_path):
    questions = questions_of(10)
    server = serve_table(table_of(questions))
    run = open_run(tmp_path, questions)
    evaluate(run, server.at, 1)
    whole = run.records_path.read_bytes()
    run.records_path.write_bytes(whole[:-20])
    server.log.clear()
    _, records = evaluate(open_run(tmp_path, questions), server.at, 1)
    assert len(server.log) == 1
    assert len(records) == len(landed(run)) == 10


def test_an_interrupted_run_keeps_what_landed(serve_table, tmp_path):
    questions = questions_of(60)
    server = serve_table(table_of(questions))
    server.delay = 0.01
    run = open_run(tmp_path, questions)

    async def stop_early():
        async with target_module.Target(server.at, "tiny", 4) as target:
            asking = asyncio.create_task(run.ask(target, 4))
            while len(server.log) < 20:
                await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(stop_early())
    kept = len(landed(run))
    assert 0 < kept < 60
    server.log.clear()
    _, records = evaluate(open_run(tmp_path, questions), server.at, 4)
    assert len(server.log) == 60 - kept
    assert len(records) == 60


def test_a_folder_holds_one_run(tmp_path):
    questions = questions_of(3)
    open_run(tmp_path, questions)
    open_run(tmp_path, questions)
    for other in (
        {"questions": questions_of(4)},
        {"questions": questions, "model": "other"},
        {"questions": questions, "plain": True},
    ):
        with pytest.raises(UserError, match="another run"):
            open_run(tmp_path, **other)


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"id": "q1"}\n')
    with pytest.raises(UserError, match=r"records\.jsonl:1 "):
        list(read_records(path))
    path.write_text("")
    RecordFile(path).close()
    assert list(read_records(path)) == []


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_key_or_model_ends_the_run(serve_table, tmp_path, status):
    questions = questions_of(50)
    server = serve_table(table_of(questions, status))
    with pytest.raises(UserError, match=f"HTTP {status}: the table says so"):
        evaluate(open_run(tmp_path, questions), server.at, 4)
    assert len(server.log) <= 8


def test_the_model_is_taken_from_the_endpoint(serve_table):
    one, two = serve_table({}), serve_table({}, models=("a", "b"))
    assert served_model(one.base_url, None) == "tiny"
    assert served_model(two.base_url, "b") == "b"
    with pytest.raises(UserError, match="name one of a, b"):
        served_model(two.base_url, None)
    with pytest.raises(UserError, match="does not serve 'c'"):
        served_model(two.base_url, "c")
    with pytest.raises(UserError, match="ends in /v1"):
        served_model(one.base_url.removesuffix("/v1"), None)


def test_a_larger_limit_keeps_the_questions_of_a_smaller_one():
    questions = questions_of(100)
    few, more = sampled(questions, 10), sampled(questions, 30)
    assert len(few) == 10
    assert all(question in more for question in few)
    assert few != questions[:10]
    assert sampled(questions, None) == questions


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "a", "question": "?"}', "{broken"], r"exam\.jsonl:2 is not JSON"),
        (["[1]"], r"exam\.jsonl:1 is not a JSON object"),
        (['{"id": "a", "question": "?"}'] * 2, r"Two samples of the task capitals have the id 'a'"),
        (['{"question": "?"}'], r"has no 'id'"),
        (["", ""], "nothing to ask"),
    ],
)
def test_bad_questions_are_named(write_questions, lines, message):
    with pytest.raises(UserError, match=message):
        plan(capitals(list(rows(write_questions(lines)))), Inputs())


def test_missing_or_unreadable_questions(tmp_path):
    with pytest.raises(UserError, match="homegrown train run almanac"):
        plan(find_suite("almanac"), Inputs(questions=tmp_path / "none.jsonl"))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    for path, message in ((tmp_path / "binary.jsonl", "cannot be read"), (tmp_path, "cannot be read")):
        with pytest.raises(UserError, match=message):
            file(path)(Inputs())


def test_an_unknown_suite_is_named():
    with pytest.raises(UserError, match="almanac"):
        find_suite("nonsense")


def test_an_endpoint_that_is_gone_ends_the_run(tmp_path, unused_port):
    with pytest.raises(UserError, match="is gone"):
        evaluate(open_run(tmp_path, questions_of(20)), lambda: f"http://127.0.0.1:{unused_port}/v1", 4)


def test_a_restarted_engine_is_found_at_its_new_address(serve_table, tmp_path, unused_port):
    questions = questions_of(20)
    server = serve_table(table_of(questions))
    places = iter([f"http://127.0.0.1:{unused_port}/v1"] * 3)
    _, records = evaluate(open_run(tmp_path, questions), lambda: next(places, server.base_url), 4)
    assert {record.status for record in records} == {"ok"}
