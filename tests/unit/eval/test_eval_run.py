"""The runner against a real server: nothing is lost, nothing is asked twice, nothing bad looks good."""

import asyncio
from dataclasses import replace

import pytest

from eval import target as target_module
from eval.data import Inputs, file, rows
from eval.records import RecordFile, read_records
from eval.replies import Refused
from eval.requests import chat
from eval.run import Run, identify, plan
from eval.suite import find_suite
from eval.target import ATTEMPTS, PATIENCE, served_model
from eval.task import sampled
from serving.errors import UserError
from tests.unit.eval.capital_runs import STATES_VALUE, capitals, evaluate, landed, open_run, questions_of, table_of

pytestmark = pytest.mark.usefixtures("short_waits", "capitals_found")


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
        mistaken.setattr(STATES_VALUE, lambda text, answers: mistakes[answers[0]]())
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
