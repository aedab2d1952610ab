"""The runner against a real server: nothing is lost, nothing is asked twice, nothing bad looks good."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from eval import target as target_module
from eval.data import Inputs, file, rows
from eval.records import RecordFile, read_records
from eval.replies import Refused
from eval.requests import chat
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.scores.score import score
from eval.scores.values import states_value
from eval.suite import Suite, find_suite
from eval.target import ATTEMPTS, PATIENCE, served_model
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
        async with target_module.Target(base_url, run.identity["model"]) as target:
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


def test_a_server_that_answers_nothing_is_not_waited_for_again_and_again(serve_table, tmp_path):
    questions = questions_of(300)
    server = serve_table({question["question"]: 503 for question in questions})
    _, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    assert {record.status for record in records} == {"error"}
    tried_hard = PATIENCE + 8
    assert len(questions) < len(server.log) <= tried_hard * ATTEMPTS + len(questions) - tried_hard


BAD_REPLIES = {
    "refused by the server": 400,
    "forbidden by a proxy": 403,
    "not JSON": b"<html>",
    "no choices": b'{"choices": []}',
    "not finite": b'{"choices": [{"message": {"content": "Paris"}, "logprobs": {"content": [{"logprob": NaN}]}}]}',
    "no text": b'{"choices": [{"message": {"content": ["Paris"]}}]}',
    "without a bottom": b"[" * 100_000,
    "a list of usage": b'{"choices": [{"message": {"content": "Paris"}}], "usage": [1]}',
    "usage in words": b'{"choices": [{"message": {"content": "Paris"}}], "usage": "n/a"}',
    "tokens in words": b'{"choices": [{"message": {"content": "Paris"}}], "usage": {"completion_tokens": "n/a"}}',
    "calls of nothing": b'{"choices": [{"message": {"content": "Paris", "tool_calls": ["x"]}}]}',
    "calls of no function": b'{"choices": [{"message": {"content": "", "tool_calls": [{"function": "x"}]}}]}',
    "always failing": 500,
}


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_one_bad_request_costs_one_record(serve_table, tmp_path, reply):
    questions = questions_of(50)
    server = serve_table(table_of(questions) | {"Question 40?": reply})
    figures, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    failed = [record for record in records if record.status == "error"]
    assert len(records) == 50
    assert [record.id for record in failed] == ["q40"]
    assert failed[0].error
    assert failed[0].scores == {}
    figure = figures["capitals.right"]
    assert (figure.n, figure.errors) == (49, 1)


def test_one_poisoned_request_in_a_thousand(serve_table, tmp_path):
    questions = questions_of(1000)
    server = serve_table(table_of(questions) | {"Question 700?": 400})
    figures, records = evaluate(open_run(tmp_path, questions), server.at, 32)
    assert [record.id for record in records if record.status == "error"] == ["q700"]
    assert sorted(body["messages"][-1]["content"] for body in server.log) == sorted(q["question"] for q in questions)
    assert (figures["capitals.right"].n, figures["capitals.right"].errors) == (999, 1)
    server.log.clear()
    evaluate(open_run(tmp_path, questions), server.at, 32)
    assert [body["messages"][-1]["content"] for body in server.log] == ["Question 700?"]


def test_a_score_that_fails_costs_its_records_and_is_mended_without_asking(serve_table, tmp_path, monkeypatch):
    questions = questions_of(30)
    questions[7]["answers"], questions[9]["answers"] = ["seven"], ["nine"]
    server = serve_table(table_of(questions))
    mistakes = {"seven": lambda: {}["seven"], "nine": lambda: float("nan"), "Paris": lambda: True}
    with monkeypatch.context() as mistaken:
        mistaken.setitem(globals(), "states_value", lambda text, answers: mistakes[answers[0]]())
        figures, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    failed = {record.id: record.error for record in records if record.status == "error"}
    assert failed.keys() == {"q7", "q9"}
    assert "a score failed on the reply (KeyError" in failed["q7"]
    assert "not a finite number" in failed["q9"]
    assert (figures["capitals.right"].n, figures["capitals.right"].errors) == (28, 2)
    server.log.clear()
    figures, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    assert server.log == []
    assert {record.status for record in records} == {"ok"}
    assert figures["capitals.right"].estimate.value == pytest.approx(28 / 30)


def test_what_utf_8_cannot_hold_is_kept(serve_table, tmp_path):
    questions = questions_of(3)
    text = "half a pair \ud83d and line ends \u2028 \r\n, whole: \U0001f331"
    server = serve_table(table_of(questions, text))
    _, records = evaluate(open_run(tmp_path, questions), server.at, 1)
    assert [record.reply.text for record in records] == [text] * 3


def test_an_unexpected_error_ends_the_run_and_nobody_waits(serve_table, tmp_path, monkeypatch):
    questions = questions_of(20)
    server = serve_table(table_of(questions))
    server.delay = 60.0
    sent = target_module.Target.ask

    async def mistaken(self, request):
        if request.body["messages"][-1]["content"] == "Question 5?":
            raise ZeroDivisionError
        return await sent(self, request)

    monkeypatch.setattr(target_module.Target, "ask", mistaken)
    with pytest.raises(ZeroDivisionError):
        evaluate(open_run(tmp_path, questions), server.at, 8)


def test_two_processes_do_not_write_one_run(tmp_path):
    first = RecordFile(tmp_path / "records.jsonl")
    with pytest.raises(UserError, match="Another process is writing"):
        RecordFile(tmp_path / "records.jsonl")
    first.close()
    RecordFile(tmp_path / "records.jsonl").close()


def test_lanes_have_exactly_so_many_in_flight_one_lane_after_the_other(serve_table, tmp_path):
    questions = [
        question | {"lane": lane} for lane, question in zip([None, 1, 5, 9] * 12, questions_of(48), strict=True)
    ]
    plain_chat = chat(max_tokens=32)
    task = replace(
        capitals(questions).tasks[0], asking=lambda s, plain: replace(plain_chat(s, plain), in_flight=s["lane"])
    )
    planned = plan(replace(capitals([]), tasks=(task,)), Inputs())
    run = Run(planned, identify(planned, "tiny", None, False), tmp_path)
    server = serve_table(table_of(questions))
    server.delay = 0.02
    evaluate(run, server.at, 3)
    lane_of = {question["question"]: question["lane"] or 3 for question in questions}
    order = [lane_of[body["messages"][-1]["content"]] for body in server.log]
    assert order == [3] * 12 + [1] * 12 + [5] * 12 + [9] * 12
    most = {lane: max(server.in_flight_at[start : start + 12]) for start, lane in ((0, 3), (12, 1), (24, 5), (36, 9))}
    assert most == {3: 3, 1: 1, 5: 5, 9: 9}


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
        async with target_module.Target(server.at, "tiny") as target:
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


def test_an_interrupted_run_with_a_slow_score_keeps_every_reply(serve_table, tmp_path, monkeypatch):
    questions = questions_of(300)
    server = serve_table(table_of(questions))
    run = open_run(tmp_path, questions)
    monkeypatch.setitem(globals(), "states_value", lambda text, answers: time.sleep(0.004) or True)
    received = []
    sent = target_module.Target.ask

    async def counted(self, request):
        reply = await sent(self, request)
        received.append(reply)
        return reply

    monkeypatch.setattr(target_module.Target, "ask", counted)

    async def stop_early():
        async with target_module.Target(server.at, "tiny") as target:
            asking = asyncio.create_task(run.ask(target, 8))
            while len(received) < 100:
                await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(stop_early())
    assert 100 <= len(landed(run)) == len(received) < 300


def test_a_slow_score_holds_requests_back(serve_table, tmp_path, monkeypatch):
    questions = questions_of(200)
    server = serve_table(table_of(questions))
    run = open_run(tmp_path, questions)
    ahead = []

    def slow(text, answers):
        time.sleep(0.002)
        ahead.append(len(server.log) - len(ahead))
        return True

    monkeypatch.setitem(globals(), "states_value", slow)

    async def ask():
        async with target_module.Target(server.at, "tiny") as target:
            await run.ask(target, 8)

    asyncio.run(ask())
    assert len(landed(run)) == 200
    assert max(ahead) <= 3 * 8 + 1


def test_a_server_that_refuses_log_probabilities_is_asked_without(serve_table, tmp_path):
    questions = questions_of(60)
    server = serve_table(table_of(questions), refuses=["logprobs"])
    figures, records = evaluate(open_run(tmp_path, questions), server.at, 8)
    assert {record.status for record in records} == {"ok"}
    assert figures["capitals.right"].estimate.value == 1
    assert sum("logprobs" in body for body in server.log) <= 8
    assert len(server.log) <= 68


def test_a_later_refusal_of_log_probabilities_says_nothing_of_the_other_requests(serve_table, tmp_path):
    questions = questions_of(2)
    server = serve_table(table_of(questions))
    first, second = (case.request for case in plan(capitals(questions), Inputs()).cases)

    async def ask():
        async with target_module.Target(server.at, "tiny") as target:
            await target.ask(first)
            server.refuses.add("logprobs")
            with pytest.raises(Refused, match="unknown parameter: logprobs"):
                await target.ask(second)

    asyncio.run(ask())
    assert all("logprobs" in body for body in server.log)


@pytest.mark.parametrize("identity", ["{}", "[]", "3", '{"suite": "x", "model": "y", "plain": false, "tasks": 1}'])
def test_a_folder_with_another_run_json_holds_no_run(tmp_path, identity):
    (tmp_path / "run.json").write_text(identity)
    with pytest.raises(UserError, match="holds no run"):
        read_result(tmp_path)


def test_a_folder_holds_one_run(tmp_path):
    questions = questions_of(3)
    open_run(tmp_path, questions)
    open_run(tmp_path, questions)
    for other, said in (
        ({"questions": questions_of(4)}, "other questions, more or fewer of them"),
        ({"questions": questions, "model": "other"}, "another model"),
        ({"questions": questions, "plain": True}, "with or without --plain"),
    ):
        with pytest.raises(UserError, match=rf"holds another run \(.*{said}.*\): name another with --out, or give"):
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


def test_an_answer_of_a_question_may_be_a_text(write_questions):
    question = {"id": "a", "question": "Capital?", "group": "fact", "answers": "Paris", "wrong": "Rome"}
    (case,) = plan(find_suite("almanac"), Inputs(questions=write_questions([question]))).cases
    assert (case.sample["answers"], case.sample["wrong"]) == (["Paris"], ["Rome"])


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
