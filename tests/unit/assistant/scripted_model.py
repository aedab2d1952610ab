"""An OpenAI-compatible server that answers by a script, over real HTTP, and the agent in front of it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from types import SimpleNamespace

from aiohttp import web
from starlette.datastructures import State

from assistant.agent import Agent
from assistant.events import Told, Wish
from assistant.limits import Limits
from serving.engine import EngineState
from serving.metrics import Metrics
from tests.unit.eval.threaded_server import ThreadedServer

NAME = "scripted"


def said(*pieces: str, finish: str = "stop", usage: tuple[int, int] = (10, 2)) -> list[dict]:
    """The chunks of a text."""
    return [*(_chunk({"content": piece}) for piece in pieces), _chunk({}, finish), _usage(*usage)]


def called(name: str, arguments: str, *more: tuple[str, str], text: str | None = None) -> list[dict]:
    """The chunks of calls of tools, their arguments in two pieces."""
    chunks = [_chunk({"content": text})] if text else []
    for index, (tool, given) in enumerate([(name, arguments), *more]):
        first, rest = given[: len(given) // 2], given[len(given) // 2 :]
        head = {"index": index, "id": f"call_{index}_{tool}", "type": "function"}
        chunks.append(_chunk({"tool_calls": [head | {"function": {"name": tool, "arguments": first}}]}))
        chunks.append(_chunk({"tool_calls": [{"index": index, "function": {"arguments": rest}}]}))
    return [*chunks, _chunk({}, "tool_calls"), _usage(20, 5)]


def _chunk(delta: dict, finish: str | None = None) -> dict:
    choice = {"index": 0, "delta": {"role": "assistant"} | delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": NAME, "choices": [choice]}


def _usage(read: int, written: int) -> dict:
    counted = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return _chunk({}) | {"choices": [], "usage": counted}


def refusal(status: int, message: str, code: str | None = None) -> web.Response:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": code}
    return web.json_response({"error": error}, status=status)


class ScriptedModel(ThreadedServer):
    """`script` gets each request's body and returns chunks, an answer, or None to write on without end.

    `asked` are the bodies; `writing` is set once it answers, `left` when a client goes before the end.
    """

    def __init__(self, script: Callable[[dict], list[dict] | web.Response | None]) -> None:
        super().__init__()
        self.script, self.asked = script, []
        self.writing, self.left = threading.Event(), threading.Event()

    def routes(self) -> list:
        return [("POST", "/v1/chat/completions", self._answer)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.authorization = request.headers.get("Authorization")
        answer = self.script(self.asked[-1])
        if isinstance(answer, web.Response):
            return answer
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        self.writing.set()
        try:
            for chunk in _endless() if answer is None else answer:
                await stream.write(f"data: {json.dumps(chunk)}\n\n".encode())
                if answer is None:
                    await asyncio.sleep(0.01)
            await stream.write(b"data: [DONE]\n\n")
        except ConnectionError:
            self.left.set()
        return stream

    def agent(self, limits: Limits | None = None, documents: object = None, **state: object) -> Agent:
        """The agent that is answered by this model."""
        engine = SimpleNamespace(model_name=NAME, base_url=self.base_url, state=EngineState("ready", ""))
        known = {"upstream": SimpleNamespace(engine=engine), "own_url": self.base_url.removesuffix("/v1")}
        known |= {"internal_key": "internal", "metrics": Metrics({"text": engine})}
        return Agent(State(known | state), documents, limits)


def _endless() -> Iterator[dict]:
    while True:
        yield _chunk({"content": "la "})


def tell(agent: Agent, question: str | list[dict], **wish: object) -> list[Told]:
    """Everything that the agent tells about one wish."""
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question

    async def listen() -> list[Told]:
        async with aclosing(agent.answer(Wish("user", messages, **wish))) as events:
            return [event async for event in events]

    return asyncio.run(listen())
