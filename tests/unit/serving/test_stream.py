import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from serving.api.stream import DONE, UsageWatch, mend, usage_in, whole_frames

ROLE = b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TEXT = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"né"},"finish_reason":null}]}\n\n'.encode()
LAST = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"!"},"logprobs":null,"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"total_tokens":3}}\n\n'


def chunks(frames: bytes) -> list[dict]:
    events = [frame.removeprefix(b"data: ") for frame in frames.split(b"\n\n")]
    return [json.loads(event) for event in events if event.startswith(b"{")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_frames_are_whole_however_they_arrive_and_half_a_frame_is_never_sent(size: int) -> None:
    sent = ROLE + TEXT + DONE + b'data: {"id":"1","cho'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), size):
            yield sent[start : start + size]

    async def collect() -> list[bytes]:
        return [frames async for frames in whole_frames(pieces())]

    got = asyncio.run(collect())
    assert b"".join(got) == ROLE + TEXT + DONE
    assert all(frames.endswith(b"\n\n") for frames in got)


def test_what_is_right_passes_byte_for_byte() -> None:
    assert mend(ROLE + TEXT + DONE, include_usage=False) == ROLE + TEXT + DONE


def test_the_finish_reason_comes_alone_after_the_last_text() -> None:
    last_text, finish = chunks(mend(TEXT + LAST, include_usage=False))[1:]
    assert last_text["choices"][0]["delta"] == {"content": "!"}
    assert last_text["choices"][0]["finish_reason"] is None
    assert finish["choices"][0]["delta"] == {}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["id"] == "1"


def test_text_that_talks_about_finish_reasons_is_left_alone() -> None:
    said = b'data: {"choices":[{"delta":{"content":"\\"finish_reason\\":\\"stop\\""},"finish_reason":null}]}\n\n'
    assert mend(said, include_usage=False) == said


def test_with_usage_every_other_chunk_says_null() -> None:
    *others, usage = chunks(mend(ROLE + TEXT + LAST + USAGE + DONE, include_usage=True))
    assert len(others) == 4
    assert all(chunk["usage"] is None for chunk in others)
    assert usage["usage"] == {"total_tokens": 3}
    assert mend(USAGE + DONE, include_usage=True) == USAGE + DONE


def test_an_error_in_the_stream_gets_the_shape_that_clients_know() -> None:
    frame = b'data: {"error":{"message":"EngineCore encountered an issue.","type":"X","param":null,"code":500}}\n\n'
    (chunk,) = chunks(mend(frame, include_usage=False))
    assert chunk["error"]["type"] == "server_error"
    assert chunk["error"]["code"] == "engine_unavailable"


def test_usage_that_was_not_asked_for_is_seen_and_hidden() -> None:
    watch = UsageWatch(hides=True)
    assert watch.passing(ROLE + TEXT) == ROLE + TEXT
    assert (watch.chunks, watch.usage) == (2, None)
    assert watch.passing(LAST + USAGE + DONE) == LAST + DONE
    assert watch.usage == {"total_tokens": 3}
    assert UsageWatch(hides=True).passing(USAGE) == b""


def test_usage_that_was_asked_for_passes() -> None:
    watch = UsageWatch(hides=False)
    assert watch.passing(LAST + USAGE + DONE) == LAST + USAGE + DONE
    assert watch.usage == {"total_tokens": 3}


def test_usage_is_read_out_of_a_whole_answer_whatever_its_text_says() -> None:
    told = {"prompt_tokens": 3, "details": {"cached": 1}}
    said = [{"message": {"content": '"usage":{"prompt_tokens":9}'}}]
    for answer in ({"choices": said, "usage": told, "prompt_logprobs": None}, {"usage": told, "choices": said}):
        assert usage_in(json.dumps(answer, separators=(",", ":")).encode()) == told
        assert usage_in(json.dumps(answer).encode()) == told
    assert usage_in(json.dumps({"choices": said}, separators=(",", ":")).encode()) is None
