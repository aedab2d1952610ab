"""One answer while it is being written: what there is of it so far, and everybody who watches."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from assistant.events import Finished, Forgot, Step, Text, Told, ToolCall, ToolProgress, ToolStep
from assistant.pages.growing import GrowingHtml
from assistant.tables import State
from serving.api.errors import ApiError

# Markdown is rendered at most so often, and all answers together take at most this share of the time.
RENDER_EVERY_S = 0.1
RENDER_SHARE = 0.25
# Who is further behind gets everything at once instead.
MAX_UNREAD = 256


@dataclass(frozen=True)
class Event:
    """Something that happened, as a page reads it."""

    name: str
    data: dict[str, Any]


class Follower:
    """Somebody who watches a turn: first comes a snapshot, then what happens."""

    def __init__(self, snapshot: Callable[[], Event]) -> None:
        self._snapshot = snapshot
        self._unread = [snapshot()]
        self._news = asyncio.Event()
        self.wake()

    def wake(self) -> None:
        """Have `has_news` return."""
        self._news.set()

    def tell(self, event: Event) -> None:
        """Pass an event on when it is asked for; neighbouring pieces of text become one."""
        last = self._unread[-1] if self._unread else None
        if last and last.name == event.name == "text":
            self._unread[-1] = Event("text", event.data | {"text": last.data["text"] + event.data["text"]})
        elif len(self._unread) < MAX_UNREAD:
            self._unread.append(event)
        else:
            self._unread = [self._snapshot()]
        self.wake()

    async def has_news(self, within_s: float) -> bool:
        """Wait until something happens; False when nothing does."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def unread(self) -> list[Event]:
        """What was not read yet, in its order."""
        self._news.clear()
        unread, self._unread = self._unread, []
        return unread


class Turn:
    """The answer `message_id` as far as it is: `seq` counts what happened, `over` says that all of it is saved.

    `calls` are the tools that run now by id, `pictures` counts those that were drawn for it; `rendering` is held while
    a thread makes HTML of it.
    """

    def __init__(self, conversation_id: str, message_id: str) -> None:
        self.conversation_id, self.message_id = conversation_id, message_id
        self.content = ""
        self.steps: list[Step] = []
        self.calls: dict[str, dict] = {}
        self.forgot = False
        self.usage: dict | None = None
        self.pictures = 0
        self.state: State = "running"
        self.error: ApiError | None = None
        self.seq = 0
        self.over = False
        self.rendering = asyncio.Lock()
        self._followers: list[Follower] = []
        self._html = GrowingHtml()
        self._rendered = 0
        self._to_render = asyncio.Event()
        self._started = time.monotonic()
        self._pieces = 0
        self._first_token_s: float | None = None

    def take(self, told: Told) -> None:
        """Note what the agent told, and pass it on."""
        match told:
            case Text(text) if text:
                self._add(text)
            case ToolCall(id, name, arguments):
                self.calls[id] = {"id": id, "name": name, "arguments": arguments, "progress": ""}
                self._tell("tool", id=id, name=name, arguments=arguments)
            case ToolProgress(id, text) if id in self.calls:
                self.calls[id]["progress"] = text
                self._tell("progress", id=id, text=text)
            case ToolStep(id, step):
                if self.calls.pop(id, None):
                    self.pictures += len(step["pictures"])
                self.steps.append(step)
                self._tell("step", id=id, step=step)
            case Forgot():
                self.forgot = True
                self._tell("forgot")
            case Finished(_, usage, first_token_s, seconds):
                self.usage = usage | {
                    "first_token_s": first_token_s and round(first_token_s, 3),
                    "seconds": round(seconds, 3),
                }

    def end(self, state: State, error: ApiError | None = None) -> None:
        """Nothing more will be told."""
        self.seq += 1
        self.state, self.error = state, error
        self.calls.clear()
        if self.usage is None:  # cut short: a piece is a token, as engines stream
            self.usage = {
                "completion_tokens": self._pieces,
                "first_token_s": self._first_token_s,
                "seconds": self._seconds(),
            }

    def close(self) -> None:
        """Send away everybody who watches."""
        self.over = True
        for follower in self._followers:
            follower.wake()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[Follower]:
        """Watch from now on."""
        await self._render()
        follower = Follower(self._snapshot)
        self._followers.append(follower)
        self._to_render.set()
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    async def keep_rendering(self, turns: Callable[[], int]) -> None:
        """Send HTML to whoever watches, as often as is good; `turns` tells how many answers are being written."""
        while True:
            await self._to_render.wait()
            self._to_render.clear()
            if self._followers:
                took = await self._render()
                await asyncio.sleep(max(RENDER_EVERY_S, took * turns() / RENDER_SHARE))

    def _add(self, text: str) -> None:
        if self._first_token_s is None:
            self._first_token_s = self._seconds()
        self._pieces += 1
        self.content += text
        self._tell("text", text=text)
        self._to_render.set()

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def _tell(self, event: str, /, **data: Any) -> None:
        self.seq += 1
        for follower in self._followers:
            follower.tell(Event(event, {"seq": self.seq, **data}))

    def _snapshot(self) -> Event:
        data = {"seq": self.seq, "state": self.state, "content": self.content, "html": self._html.html}
        calls = [dict(call) for call in self.calls.values()]
        return Event("snapshot", data | {"steps": list(self.steps), "tools": calls, "forgot": self.forgot})

    async def _render(self) -> float:
        """Render what has been added; returns the seconds that it took."""
        async with self.rendering:
            content = self.content
            if len(content) == self._rendered:
                return 0.0
            started = time.monotonic()
            keep, html = await asyncio.to_thread(self._html.update, content)
            self._rendered = len(content)
            self._tell("html", **{"from": keep, "html": html})
            return time.monotonic() - started
