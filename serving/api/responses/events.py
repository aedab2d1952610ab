"""A chat's event stream as the events of a response, in the order that OpenAI documents."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

from serving.api.responses.answer import call_item, fail, finish, message_item, new_id, status_after, text_part
from serving.api.stream import END, whole_frames

DATA = b"data: "


async def response_events(chunks: AsyncIterator[bytes], response: dict) -> AsyncGenerator[bytes, None]:
    """Server-sent events of `response`, which grows with the `chunks` of the chat that answers it.

    The last one is response.completed, response.incomplete or response.failed.
    """
    told = ResponseEvents(response)
    yield told.begin()
    # Leaving early, as a client's disconnect does, must stop the model at once.
    async with aclosing(chunks):
        async for frames in whole_frames(chunks):
            for frame in frames.split(END):
                if frame.startswith(b":"):
                    yield frame + END
                elif frame.startswith(DATA + b"{"):
                    yield told.chunk(json.loads(frame.removeprefix(DATA)))
                if told.ended:
                    return
    yield told.end()


class ResponseEvents:
    """Turns the chunks of one chat into numbered events; each method returns those that are due as bytes."""

    def __init__(self, response: dict) -> None:
        self._response = response
        self._number = 0
        self._open: _Message | _Call | None = None
        self._output: list[dict] = []
        self._finish_reason, self._usage = "stop", None
        self.ended = False

    def begin(self) -> bytes:
        """The response has been created and is being worked on."""
        return self._event("response.created", response=self._response) + self._event(
            "response.in_progress", response=self._response
        )

    def chunk(self, chunk: dict) -> bytes:
        """What a chunk of the chat adds."""
        if "error" in chunk:
            return self._failed(chunk["error"]["message"])
        self._usage = chunk.get("usage") or self._usage
        told = b""
        for choice in chunk["choices"]:
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            delta = choice["delta"]
            if delta.get("content"):
                told += self._text(delta["content"], (choice.get("logprobs") or {}).get("content") or [])
            for call in delta.get("tool_calls") or []:
                told += self._call(call)
        return told

    def end(self) -> bytes:
        """The chat has ended."""
        told = b"" if self._open or self._output else self._start(_Message(0))
        status = status_after(self._finish_reason)
        told += self._close(status)
        finish(self._response, self._output, self._finish_reason, self._usage)
        self.ended = True
        return told + self._event(f"response.{status}", response=self._response)

    def _text(self, text: str, logprobs: list[dict]) -> bytes:
        told = b""
        if not isinstance(self._open, _Message):
            told = self._close() + self._start(_Message(len(self._output)))
        return told + self._events(self._open.add(text, logprobs))

    def _call(self, delta: dict) -> bytes:
        told = b""
        if not isinstance(self._open, _Call) or self._open.index != delta["index"]:
            told = self._close() + self._start(_Call(len(self._output), delta))
        return told + self._events(self._open.add(delta["function"].get("arguments") or ""))

    def _start(self, item: "_Message | _Call") -> bytes:
        self._open = item
        return self._events(item.start())

    def _close(self, status: str = "completed") -> bytes:
        """End the open item; it is part of the output from then on."""
        if self._open is None:
            return b""
        item, self._open = self._open, None
        told = self._events(item.end(status))
        self._output.append(item.item)
        return told

    def _failed(self, message: str) -> bytes:
        fail(self._response, message)
        self._response["output"] = self._output
        self.ended = True
        return self._event("response.failed", response=self._response)

    def _events(self, events: "Iterator[tuple[str, dict]]") -> bytes:
        return b"".join(self._event(f"response.{kind}", **fields) for kind, fields in events)

    def _event(self, kind: str, **fields: object) -> bytes:
        event = {"type": kind, "sequence_number": self._number} | fields
        self._number += 1
        return f"event: {kind}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


class _Message:
    """A message that is being said: the events of its start, of more text, and of its end."""

    def __init__(self, place: int) -> None:
        self.item = message_item(new_id("msg"), "in_progress")
        self._place = {"output_index": place}
        self._part = {"item_id": self.item["id"], "content_index": 0} | self._place
        self._said: list[str] = []
        self._logprobs: list[dict] = []

    def start(self) -> Iterator[tuple[str, dict]]:
        yield "output_item.added", self._place | {"item": self.item}
        yield "content_part.added", self._part | {"part": text_part("", None)}

    def add(self, text: str, logprobs: list[dict]) -> Iterator[tuple[str, dict]]:
        self._said.append(text)
        self._logprobs += logprobs
        yield "output_text.delta", self._part | {"delta": text, "logprobs": logprobs}

    def end(self, status: str) -> Iterator[tuple[str, dict]]:
        text = "".join(self._said)
        part = text_part(text, {"content": self._logprobs})
        self.item |= {"status": status, "content": [part]}
        yield "output_text.done", self._part | {"text": text, "logprobs": self._logprobs}
        yield "content_part.done", self._part | {"part": part}
        yield "output_item.done", self._place | {"item": self.item}


class _Call:
    """The same for a call of a function."""

    def __init__(self, place: int, delta: dict) -> None:
        self.index = delta["index"]
        self.item = call_item(new_id("fc"), delta["id"], delta["function"]["name"], "", "in_progress")
        self._place = {"output_index": place}
        self._arguments: list[str] = []

    def start(self) -> Iterator[tuple[str, dict]]:
        yield "output_item.added", self._place | {"item": self.item}

    def add(self, arguments: str) -> Iterator[tuple[str, dict]]:
        self._arguments.append(arguments)
        if arguments:
            yield "function_call_arguments.delta", self._place | {"item_id": self.item["id"], "delta": arguments}

    def end(self, status: str) -> Iterator[tuple[str, dict]]:
        arguments = "".join(self._arguments)
        self.item |= {"status": status, "arguments": arguments}
        done = {"item_id": self.item["id"], "name": self.item["name"], "arguments": arguments}
        yield "function_call_arguments.done", self._place | done
        yield "output_item.done", self._place | {"item": self.item}
