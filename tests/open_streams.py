"""Clients in the middle of an answer: what they were shown, how it ended, and what the server has kept of it."""

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp

from tests.obedient_model import CODE, MODEL
from tests.page_events import parsed
from tests.wire import CHAT, HELLO

CUT = "cut"


@dataclass(frozen=True)
class Talk:
    """What the model that serves can say: something without end, for the page and for clients, and something short."""

    question: str
    endless: dict
    short: dict
    answer: str


def _scripted(question: str) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}]}


TAUGHT = Talk("Sing.", CHAT | {"stream": True, "max_tokens": 12_000, "ignore_eos": True}, CHAT, HELLO)
"""Of tests/tiny_model.py; it sings for as long as its context lasts."""
SCRIPTED = Talk("prose 999", _scripted("prose 999") | {"stream": True}, _scripted("code"), CODE)
"""Of tests/obedient_model.py."""


class PageStream:
    """A question of the page. `growth`: when the text that was shown had how many characters.

    `end`: the name of the last event, "cut" for a broken connection, None while it goes on. `last`: that event's data.
    """

    def __init__(self, http: aiohttp.ClientSession, question: str) -> None:
        self._http, self._question = http, question
        self.shown, self.growth = "", [(time.monotonic(), 0)]
        self.end: str | None = None
        self.last: dict = {}
        self.user, self.assistant, self.conversation = {}, {}, ""

    async def run(self) -> None:
        """Ask, and follow the answer to its end."""
        self.conversation = (await self._json("POST", "/api/conversations", {}))["id"]
        begun = await self._json("POST", f"/api/conversations/{self.conversation}/turns", {"content": self._question})
        self.user, self.assistant = begun["user"], begun["assistant"]
        try:
            self.end = await self._follow()
        except (aiohttp.ClientError, ConnectionError):
            self.end = CUT

    def trouble(self, code: str | None) -> str:
        """What is wrong with how it ended: `code` is the error that must have been told, None a cut."""
        if code is None:
            return "" if self.end == CUT else f"ended as {self.end}"
        if (self.end, self.last.get("error", {}).get("code")) != ("error", code):
            return f"ended as {self.end}: {self.last.get('error')}"
        return "" if self.last["message"]["content"] == self.shown else "the last event has another text"

    async def kept(self) -> dict:
        """The answer as the server has it now. Raises `AssertionError` unless question and answer are there once."""
        messages = (await self._json("GET", f"/api/conversations/{self.conversation}"))["messages"]
        assert [one["id"] for one in messages] == [self.user["id"], self.assistant["id"]], "messages lost or doubled"
        assert messages[0] == self.user, "the question is not as it was acknowledged"
        return messages[1]

    async def stop(self) -> None:
        """Press stop."""
        async with self._http.post(f"/api/messages/{self.assistant['id']}/stop") as answer:
            assert answer.status == 204, await answer.text()

    def seconds_behind(self, text: str, now: float) -> float:
        """How long before `now` more than `text` had been shown first."""
        later = [at for at, length in self.growth if length > len(text)]
        return now - later[0] if later else 0.0

    async def _follow(self) -> str:
        async with self._http.get(f"/api/messages/{self.assistant['id']}/events") as stream:
            assert stream.status == 200, await stream.text()
            lines: list[str] = []
            async for line in stream.content:
                lines.append(line.decode().rstrip("\n"))
                if lines[-1]:
                    continue
                for name, data in parsed(lines):
                    if name in ("done", "error"):
                        self.last = data
                        return name
                    self._show(name, data)
                lines = []
        return CUT

    def _show(self, name: str, data: dict) -> None:
        if name == "snapshot":
            self.shown = data["content"]
        elif name == "text":
            self.shown += data["text"]
        self.growth.append((time.monotonic(), len(self.shown)))

    async def _json(self, method: str, path: str, body: dict | None = None) -> dict:
        async with self._http.request(method, path, json=body) as answer:
            assert answer.status < 300, f"{answer.status} at {path}: {await answer.text()}"
            return await answer.json()


class ApiStream:
    """A stream of /v1/chat/completions; `end` as with the page, "done" after its `[DONE]`."""

    def __init__(self, http: aiohttp.ClientSession, body: dict) -> None:
        self._http, self._body = http, body
        self.shown = ""
        self.end: str | None = None

    async def run(self) -> None:
        """Ask, and read to the end."""
        try:
            async with self._http.post("/v1/chat/completions", json=self._body) as answer:
                assert answer.status == 200, await answer.text()
                async for piece in answer.content.iter_any():
                    self.shown += piece.decode()
            self.end = "done" if self.shown.endswith("data: [DONE]\n\n") else CUT
        except (aiohttp.ClientError, ConnectionError):
            self.end = CUT

    def trouble(self, code: str | None) -> str:
        """What is wrong with how it ended, as with the page."""
        if code is None:
            return "" if self.end == CUT else f"ended as {self.end}"
        frames = self.shown.split("\n\n")
        if self.end != "done" or not frames[-3].startswith('data: {"error"'):
            return f"ended as {self.end}: {frames[-3:]}"
        said = json.loads(frames[-3].removeprefix("data: "))["error"]["code"]
        return "" if said == code else f"told {said}"


Stream = PageStream | ApiStream


async def opened(
    http: aiohttp.ClientSession, talk: Talk, pages: int, clients: int
) -> tuple[list[Stream], list[asyncio.Task]]:
    """So many streams, each in the middle of its answer, and the tasks that read them."""
    streams: list[Stream] = [PageStream(http, talk.question) for _ in range(pages)]
    streams += [ApiStream(http, talk.endless) for _ in range(clients)]
    tasks = [asyncio.create_task(stream.run()) for stream in streams]
    while not all(len(stream.shown) > 3 for stream in streams):
        for task in tasks:
            if task.done():
                task.result()  # raises what went wrong
        assert not any(stream.end for stream in streams), [stream.end for stream in streams if stream.end]
        await asyncio.sleep(0.05)
    return streams, tasks
