"""The events of an answer, as the page receives them."""

import json
from collections.abc import Iterable, Iterator

import httpx


def events(http: httpx.Client, message: str) -> Iterator[tuple[str, dict]]:
    """Names and data of the events of the answer `message`, until the stream ends."""
    with http.stream("GET", f"/api/messages/{message}/events") as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield from parsed(answer.iter_lines())


def parsed(lines: Iterable[str]) -> Iterator[tuple[str, dict]]:
    """Names and data of server-sent events."""
    name = ""
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


def last(http: httpx.Client, message: str) -> tuple[str, dict]:
    """How the answer ended."""
    return list(events(http, message))[-1]
