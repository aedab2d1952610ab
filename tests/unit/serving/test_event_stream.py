import asyncio
from collections.abc import AsyncGenerator

import pytest

from serving.api.event_stream import EventStream


class Client:
    """Reads `patience` events and goes; None: stays to the end."""

    def __init__(self, patience: int | None = None) -> None:
        self.sent: list[dict] = []
        self._patience = patience
        self._gone = asyncio.Event()

    async def receive(self) -> dict:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        self.sent.append(message)
        if self._patience is not None and len(self.bodies) >= self._patience:
            self._gone.set()

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent if message["type"] == "http.response.body"]


class Frames:
    """`events`, then `last` is raised or, if it is None, what follows never comes or there is no more."""

    def __init__(self, *events: bytes, last: Exception | None = None, endless: bool = False) -> None:
        self._events, self._last, self._endless = events, last, endless
        self.closed = False

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for event in self._events:
                yield event
            if self._last:
                raise self._last
            if self._endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def stream(frames: Frames, client: Client) -> None:
    async with asyncio.timeout(10):
        await EventStream(frames())({"type": "http"}, client.receive, client.send)


def test_everything_is_sent_in_its_order_with_an_end() -> None:
    async def run() -> None:
        frames, client = Frames(b"a", b"b"), Client()
        await stream(frames, client)
        assert client.bodies == [b"a", b"b", b""]
        assert client.sent[-1]["more_body"] is False
        assert dict(client.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
        assert frames.closed

    asyncio.run(run())


@pytest.mark.parametrize("patience", [1, 2])
def test_what_is_behind_it_is_closed_when_the_client_goes(patience: int) -> None:
    async def run() -> None:
        frames, client = Frames(b"a", b"b", endless=True), Client(patience)
        await stream(frames, client)
        assert client.sent[-1]["more_body"] is True
        assert frames.closed

    asyncio.run(run())


@pytest.mark.parametrize("error", [TimeoutError("its own"), ValueError("a defect")])
def test_an_error_of_the_frames_is_raised(error: Exception) -> None:
    async def run() -> None:
        frames = Frames(b"a", last=error)
        with pytest.raises(type(error), match=str(error)):
            await stream(frames, Client())
        assert frames.closed

    asyncio.run(run())


def test_a_server_that_stops_is_no_client_that_went() -> None:
    async def run() -> None:
        frames = Frames(b"a", endless=True)
        streaming = asyncio.ensure_future(stream(frames, Client()))
        await asyncio.sleep(0.01)
        streaming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await streaming
        assert frames.closed

    asyncio.run(run())
