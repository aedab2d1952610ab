"""A real HTTP server with the shape of OpenAI's API that answers from a table."""

import asyncio
import json
import socket

import pytest
from aiohttp import web

from tests.unit.eval.almanac_runs import EXAM, invoke
from tests.unit.eval.bias_rows import write_sets
from tests.unit.eval.capital_runs import capitals
from tests.unit.eval.threaded_server import ThreadedServer


class TableServer(ThreadedServer):
    """Answers the last user message from `table`: a text, a message dict, or an HTTP status to fail with.

    A list is worked off one entry a request, its last entry for ever. `log` keeps every request body, `keys` what
    came as its key. A request that has one of the parameters in `refuses` is answered 400.
    """

    def __init__(self, table, models=("tiny",), refuses=()):
        super().__init__()
        self.table, self.models, self.log, self.refuses = dict(table), list(models), [], set(refuses)
        self.delay, self.in_flight, self.most_in_flight = 0.0, 0, 0
        self.in_flight_at, self.token_delay, self.keys = [], 0.0, []

    def routes(self):
        return ("GET", "/v1/models", self._list_models), ("POST", "/v1/chat/completions", self._chat)

    async def _list_models(self, request):
        return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})

    async def _chat(self, request):
        body = await request.json()
        self.log.append(body)
        self.keys.append(request.headers.get("Authorization"))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.in_flight_at.append(self.in_flight)
        await asyncio.sleep(self.delay)
        self.in_flight -= 1
        if unknown := self.refuses & body.keys():
            return web.json_response({"error": {"message": f"unknown parameter: {', '.join(unknown)}"}}, status=400)
        reply = self.table[body["messages"][-1]["content"]]
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, int):
            headers = {"Retry-After": "0"} if reply == 429 else {}
            return web.json_response({"error": {"message": "the table says so"}}, status=reply, headers=headers)
        if reply == "hang up":
            request.transport.close()
            return web.Response()
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="application/json")
        if body.get("stream"):
            return await self._stream(request, reply)
        message = {"role": "assistant", "content": reply} if isinstance(reply, str) else dict(reply)
        return web.json_response(completion(message, message.pop("logprobs", (-0.1, -0.3))))

    async def _stream(self, request, reply):
        """A text goes out word by word, `token_delay` seconds apart."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in stream_events(reply):
            await response.write(piece)
            await asyncio.sleep(self.token_delay)
        return response


def stream_events(text):
    """The events of a streamed answer: the role, a piece for every word, the end, the usage."""
    words = [f"{word} " for word in text.split()]
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(words)}})
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


def completion(message, logprobs):
    tokens = [{"token": "t", "logprob": p} for p in logprobs]
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": tokens}}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


@pytest.fixture
def serve_table():
    """Start a `TableServer`; it is stopped when the test ends."""
    servers = []

    def start(table, **options):
        servers.append(TableServer(table, **options).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def write_questions(tmp_path):
    """Write questions (dicts, or raw lines) as a JSONL file and return its path."""

    def write(questions, name="exam.jsonl"):
        path = tmp_path / name
        path.write_text("".join((q if isinstance(q, str) else json.dumps(q)) + "\n" for q in questions))
        return path

    return write


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def run_of(serve_table, write_questions, tmp_path, monkeypatch):
    """Ask a server with these replies the almanac's exam, and return the run's folder."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))

    def run(name, table, questions=EXAM):
        asked = ("--suite", "almanac", "--questions", write_questions(questions, f"{name}.jsonl"))
        invoke("run", "--base-url", serve_table(table).base_url, *asked, "--out", tmp_path / name)
        return tmp_path / name

    return run


@pytest.fixture
def few_replicates(monkeypatch):
    """A bootstrap of 599 draws: intervals of the same level, with more noise, for simulations of many runs."""
    monkeypatch.setattr("eval.resampling.REPLICATES", 599)
    monkeypatch.setattr("eval.resampling.FEWEST_REPLICATES", 599)


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr("eval.target.FIRST_WAIT_S", 0.001)


@pytest.fixture
def capitals_found(monkeypatch):
    """Results are read with the suite of `capital_runs`."""
    monkeypatch.setattr("eval.result.joined", lambda names: capitals([]))


@pytest.fixture
def bias_sets(tmp_path, monkeypatch):
    """A HOMEGROWN_DATA with the public sets about bias, of rows written for tests."""
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    write_sets(tmp_path)
    return tmp_path
