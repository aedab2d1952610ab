"""The whole command as a process of its own: killed, ended, out of disk, and watched for where it connects to."""

import json
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

COUNT = 200
SUITE = """
name: capitals
tasks:
  - {name: capitals, data: exam.jsonl, max_tokens: 32, scores: [refused]}
"""
EVAL = "from homegrown import main; main()"
GUARDED = """
import os, sys
allowed, tried = sys.argv.pop(1), []

def guard(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        place = args[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        place = args[0]
    elif event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"):
        place = event
    else:
        return
    tried.append(place)
    if not (isinstance(place, tuple) and f"{place[0]}:{place[1]}" == allowed):
        print("forbidden", event, place, file=sys.stderr, flush=True)
        os._exit(99)

sys.addaudithook(guard)
from homegrown import main
main()
print("connections", len(tried))
"""


@pytest.fixture
def questions():
    return [{"id": f"q{n}", "question": f"Question {n}?"} for n in range(COUNT)]


@pytest.fixture
def command(write_questions, questions, tmp_path):
    """The command line that asks the questions of a server."""
    write_questions(questions)
    (tmp_path / "suite.yaml").write_text(SUITE)

    def make(base_url, *options, program=(EVAL,)):
        given = ["--suite", tmp_path / "suite.yaml", "--base-url", base_url, "--out", tmp_path / "out", *options]
        return [sys.executable, "-c", *program, "eval", "run", *map(str, given)]

    return make


@pytest.fixture
def serve(serve_table, questions):
    return lambda **replies: serve_table({question["question"]: "Paris" for question in questions} | replies)


def begin(command, server, answers, **options):
    """Start the command and wait until the server was sent so many requests."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    before = len(server.log)
    while len(server.log) - before < answers:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    return process


def finish(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def recorded(folder):
    """The ids of the whole lines of the records."""
    lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
    return [json.loads(line)["id"] for line in lines if line.endswith(b"\n")]


def asked(server):
    return sorted(body["messages"][-1]["content"] for body in server.log)


def test_after_kill_9_at_any_moment_exactly_what_is_missing_is_sent(serve, command, questions, tmp_path):
    server = serve()
    server.delay = 0.01
    for _ in range(3):
        process = begin(command(server.base_url, "--concurrency", 4), server, random.randint(8, COUNT // 4))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    kept = recorded(tmp_path / "out")
    assert 0 < len(set(kept)) == len(kept) < COUNT
    server.log.clear()
    ended = finish(command(server.base_url))
    assert ended.returncode == 0, ended.stderr
    assert asked(server) == sorted(q["question"] for q in questions if q["id"] not in kept)
    assert sorted(recorded(tmp_path / "out")) == sorted(q["id"] for q in questions)


def test_being_terminated_is_like_ctrl_c(serve, command, tmp_path):
    server = serve()
    server.delay = 0.05
    process = begin(command(server.base_url, "--concurrency", 2), server, 10)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"the same command with --out {tmp_path / 'out'} sends only what is missing" in said
    assert "Traceback" not in said
    assert 0 < len(recorded(tmp_path / "out")) < COUNT


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(serve, command, questions, tmp_path):
    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    server = serve()
    ended = finish(command(server.base_url), preexec_fn=small_disk)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "cannot be written" in ended.stderr.splitlines()[-1]
    kept = recorded(tmp_path / "out")
    assert 0 < len(kept) < COUNT
    server.log.clear()
    assert finish(command(server.base_url)).returncode == 0
    assert asked(server) == sorted(q["question"] for q in questions if q["id"] not in kept)


def test_nothing_is_connected_to_but_the_model(serve, command):
    server = serve()
    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    ended = finish(command(server.base_url, program=(GUARDED, host)))
    assert ended.returncode == 0, ended.stderr
    assert len(server.log) == COUNT


def test_the_guard_sees_a_connection_elsewhere(serve, command):
    server = serve()
    ended = finish(command(server.base_url, program=(GUARDED, "127.0.0.1:1")))
    assert ended.returncode == 99
    assert "forbidden socket.connect" in ended.stderr
    assert server.log == []
