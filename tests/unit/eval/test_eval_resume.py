"""A run that was cut short goes on where it was, and a folder holds one run."""

import asyncio
import time

import pytest

from eval import target as target_module
from eval.result import read_result
from serving.errors import UserError
from tests.unit.eval.capital_runs import STATES_VALUE, evaluate, landed, open_run, questions_of, table_of

pytestmark = pytest.mark.usefixtures("short_waits", "capitals_found")


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
    monkeypatch.setattr(STATES_VALUE, lambda text, answers: time.sleep(0.004) or True)
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

    monkeypatch.setattr(STATES_VALUE, slow)

    async def ask():
        async with target_module.Target(server.at, "tiny") as target:
            await run.ask(target, 8)

    asyncio.run(ask())
    assert len(landed(run)) == 200
    assert max(ahead) <= 3 * 8 + 1


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
