"""The command line, against a real server and in a real process where signals matter."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from eval.commands import app
from serving.errors import UserError


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))


def fact(number):
    fields = {"id": f"f{number}", "question": f"Capital of Land{number}?", "group": "fact", "answers": ["Paris"]}
    return fields | {"entity": f"Land{number}", "subject": "country", "relation": "capital"}


def sum_of(number):
    due = {"name": "calculate", "arguments": {"expression": f"{number} + 1"}}
    return {"id": f"t{number}", "question": f"What is {number} + 1?", "group": "tool_calculate", "tool": due}


def table(questions):
    replies = {q["question"]: "The capital is Paris." for q in questions if q["group"] == "fact"}
    return replies | {q["question"]: call(**q["tool"]) for q in questions if q["group"] != "fact"}


def call(name, arguments):
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}


def eval_run(*arguments):
    result = CliRunner().invoke(app, ["run", "--suite", "almanac", *map(str, arguments)])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


def test_run_prints_the_headlines_and_show_every_figure(serve_table, write_questions, tmp_path):
    questions = [fact(i) for i in range(20)] + [sum_of(i) for i in range(20)]
    server = serve_table(table(questions))
    out = tmp_path / "out"
    result = eval_run("--base-url", server.base_url, "--questions", write_questions(questions), "--out", out)
    assert result.exit_code == 0
    assert re.search(r"right +100\.0 % +83\.9 - 100\.0 +20\n", result.stdout)
    assert "cut off by the token limit" not in result.stdout
    assert f"`homegrown eval show {out}` prints all of them" in result.stdout
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["model"], summary["asked"], summary["errors"]) == ("tiny", 40, 0)
    assert summary["figures"]["almanac.tool_calculate.exact_call"]["value"] == 1
    shown = CliRunner().invoke(app, ["show", str(out)])
    assert shown.exit_code == 0
    assert re.search(r"right +100\.0 % +83\.9 - 100\.0 +20\n", shown.stdout)
    assert re.search(r"made-up names +not measurable +0  \(no answers", shown.stdout)


def test_the_folder_is_named_after_suite_and_model(serve_table, write_questions, tmp_path):
    questions = [fact(0)]
    server = serve_table(table(questions), models=("owner/big",))
    eval_run("--base-url", server.base_url, "--questions", write_questions(questions))
    (folder,) = (tmp_path / "home" / "reports").iterdir()
    assert re.fullmatch(r"almanac-big-\d{8}-\d{6}", folder.name)


def test_errors_leave_a_trace_and_an_exit_code(serve_table, write_questions):
    questions = [fact(i) for i in range(20)]
    server = serve_table(table(questions) | {"Capital of Land3?": 400})
    result = eval_run("--base-url", server.base_url, "--questions", write_questions(questions))
    assert result.exit_code == 6
    assert "20 requests, 1 without an answer" in result.stdout
    assert "almanac f3: HTTP 400: the table says so" in result.stderr


def test_limit_asks_fewer(serve_table, write_questions):
    questions = [fact(i) for i in range(20)]
    server = serve_table(table(questions))
    eval_run("--base-url", server.base_url, "--questions", write_questions(questions), "--limit", 5)
    assert len(server.log) == 5


def test_what_the_user_can_put_right_is_one_sentence(serve_table, write_questions, unused_port, tmp_path):
    exam, gone = write_questions([fact(0)]), f"http://127.0.0.1:{unused_port}/v1"
    cases = [
        (["--base-url", serve_table({}).base_url], "homegrown train run almanac"),
        (["--base-url", gone, "--questions", exam], "cannot be reached"),
        (["--base-url", "nonsense", "--questions", exam], "cannot be reached"),
        (["--suite", "nonsense", "--base-url", serve_table({}).base_url], "There is no suite 'nonsense'"),
        (["--questions", exam], "Say what to measure"),
        (["no-such-model", "--questions", exam], "no-such-model"),
    ]
    for arguments, message in cases:
        with pytest.raises(UserError, match=message) as raised:
            eval_run(*arguments)
        assert "\n" not in str(raised.value)
    result = CliRunner().invoke(app, ["show", str(tmp_path)])
    assert "holds no run" in str(result.exception)


def test_ctrl_c_says_how_to_resume_and_the_same_command_does(serve_table, write_questions, tmp_path):
    questions = [fact(i) for i in range(100)]
    server = serve_table(table(questions))
    server.delay = 0.05
    out = tmp_path / "out"
    arguments = [
        "run",
        "--suite",
        "almanac",
        "--base-url",
        server.base_url,
        "--questions",
        write_questions(questions),
        "--out",
        out,
    ]
    command = [sys.executable, "-c", "from eval.commands import app; app()", *map(str, arguments), "--concurrency", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    while len(server.log) < 10:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"the same command with --out {out} sends only what is missing" in stderr
    assert "Traceback" not in stderr
    kept = len((out / "records.jsonl").read_text().splitlines())
    assert 0 < kept < 100
    server.log.clear()
    server.delay = 0
    assert eval_run(*arguments[3:]).exit_code == 0
    assert len(server.log) == 100 - kept


def test_the_suites_are_listed():
    listed = CliRunner().invoke(app, ["list"]).stdout
    assert re.search(r"^almanac +\S.*\n +- almanac: ", listed, re.MULTILINE)
    assert re.search(r"^scores +\S.* right,", listed, re.MULTILINE | re.DOTALL)
    assert re.search(r"^variants +case, ", listed, re.MULTILINE)


def test_nothing_heavy_is_imported_before_questions_are_asked():
    program = (
        "import sys, homegrown, eval.declared, eval.measure\n"
        "from eval.suite import find_suite, suite_names\n"
        "for name in suite_names(): find_suite(name)\n"
        "heavy = {'numpy', 'scipy', 'torch', 'transformers', 'sentence_transformers', 'vllm', 'pydantic_settings'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "[]\n", said.stderr


OURS = """
from eval.replies import Answer
from eval.scores.score import score
from eval.suite import Suite
from eval.task import Task

@score(formula="length", source="ours", caveat="none", high=None)
def length(sample, reply):
    return {"long": 4.0, "short": 1.0, "odd": None}[reply.text]

QUESTIONS = [{"id": str(n), "question": f"Question {n}?"} for n in range(20)]
SUITE = Suite("", "", (Task(name="lengths", data=lambda inputs: QUESTIONS, scores=(length,)),), HEADLINES)
"""


@pytest.fixture
def ours(tmp_path, serve_table):
    """Run a suite that was written in Python; what is printed and the folder."""

    def run(replies, headlines=(), name="out"):
        suite = tmp_path / "ours.py"
        suite.write_text(OURS.replace("HEADLINES", repr(tuple(headlines))))
        table = {f"Question {n}?": reply for n, reply in enumerate(replies)}
        arguments = ["run", "--suite", suite, "--base-url", serve_table(table).base_url, "--out", tmp_path / name]
        result = CliRunner().invoke(app, [*map(str, arguments)])
        assert not result.exception or isinstance(result.exception, SystemExit)
        return result, tmp_path / name

    return run


def test_answers_that_could_not_be_read_are_shown(ours):
    result, _ = ours(["long"] * 18 + ["odd"] * 2)
    assert re.search(r"all +3\.600  .+ 20  2 unreadable\n", result.stdout)


def test_a_failed_score_is_not_said_to_be_asked_again(ours):
    result, folder = ours(["long"] * 18 + ["unheard of", 400])
    assert result.exit_code == 6
    assert "20 requests, 1 without an answer, 1 with an answer that a score failed on" in result.stdout
    asked, mended = result.stderr.splitlines()[-2:]
    assert f"lengths 19: HTTP 400: the table says so; the same command with --out {folder} asks these again." in asked
    assert "lengths 18: a score failed on the reply (KeyError: 'unheard of')" in mended
    assert f"once the score is mended, `homegrown eval show {folder}` scores these again" in mended


def test_show_says_what_an_interrupted_run_has_not_asked(ours):
    _, folder = ours(["long"] * 20)
    records = folder / "records.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:13]))
    shown = CliRunner().invoke(app, ["show", str(folder)])
    assert shown.exit_code == 6
    assert "13 requests, 0 without an answer, 7 not asked yet." in shown.stdout
    assert f"7 questions were not asked: the command of this run with --out {folder} asks them" in shown.stderr


def test_headlines_that_no_figure_is_called_hide_nothing(ours):
    result, _ = ours(["long"] * 15 + ["short"] * 5, ["lengths.lenght"])
    assert re.search(r"all +3\.250", result.stdout)
    assert "not among the figures: lengths.lenght, a headline of the suite" in result.stdout
