"""Streamed answers: the text, the calls and the times are right however the bytes are cut; nothing half is taken."""

import asyncio
import json
import time

import pytest

from eval.replies import NoAnswer
from eval.requests import Generate
from eval.streaming import read_stream
from eval.target import Target

TEXT = "Naïve café: 東京 is a city."


def event(delta=None, finish_reason=None, **fields):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason, **fields}]
    return f"data: {json.dumps({'choices': choices}, ensure_ascii=False)}\n\n".encode()


def call(**function):
    return {"index": 0, "function": function}


WHOLE = [
    event({"role": "assistant", "content": ""}),
    *(event({"content": letter}, logprobs={"content": [{"token": letter, "logprob": -0.5}]}) for letter in TEXT),
    event(finish_reason="stop"),
    b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 26}}\n\n',
    b"data: [DONE]\n\n",
]


def read(chunks, pause_s=0.0):
    async def arriving():
        for chunk in chunks:
            await asyncio.sleep(pause_s)
            yield chunk

    return asyncio.run(read_stream(arriving(), time.perf_counter()))


def test_an_answer_is_put_together_with_its_times_and_numbers():
    answer = read(WHOLE, pause_s=0.001)
    assert answer.text == TEXT
    assert (answer.finish_reason, answer.prompt_tokens, answer.completion_tokens) == ("stop", 7, 26)
    assert (answer.logprob_mean, answer.logprob_min) == (-0.5, -0.5)
    assert len(answer.token_times_s) == len(TEXT)
    assert answer.token_times_s == sorted(answer.token_times_s)
    # The role came first, and is no token.
    assert 0.002 <= answer.token_times_s[0] < answer.token_times_s[-1] < answer.latency_s


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10**6])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_it_does_not_matter_where_the_bytes_are_cut(size, line_end):
    whole = b"".join(WHOLE).replace(b"\n", line_end)
    answer = read([whole[start : start + size] for start in range(0, len(whole), size)])
    assert (answer.text, answer.completion_tokens, len(answer.token_times_s)) == (TEXT, 26, len(TEXT))


def test_comments_and_other_fields_are_no_tokens():
    noise = [b": keep-alive\n\n", b"event: message\nid: 3\nretry: 10\n", b"\n\n"]
    answer = read([piece for whole in WHOLE for piece in (*noise, whole)])
    assert (answer.text, len(answer.token_times_s)) == (TEXT, len(TEXT))


def test_calls_are_put_together_by_their_index():
    deltas = [
        call(name="calculate", arguments="") | {"id": "a"},
        call(arguments='{"expression": '),
        call(name="now", arguments="{}") | {"id": "b", "index": 1},
        call(arguments='"1 + 1"}'),
    ]
    answer = read([*(event({"tool_calls": [delta]}) for delta in deltas), event(finish_reason="tool_calls")])
    first, second = answer.tool_calls
    assert (first["id"], first["type"]) == ("a", "function")
    assert first["function"] == {"name": "calculate", "arguments": '{"expression": "1 + 1"}'}
    assert (second["id"], second["function"]) == ("b", {"name": "now", "arguments": "{}"})
    assert (answer.text, len(answer.token_times_s)) == ("", 4)


BROKEN = {
    "an error event": (
        [event({"content": "Par"}), b'data: {"error": {"message": "out of memory"}}\n\n'],
        "out of memory",
    ),
    "the end before the end": ([event({"content": "Par"})], "ended before"),
    "done without an end": ([event({"content": "Par"}), b"data: [DONE]\n\n"], "ended before"),
    "nothing": ([], "ended before"),
    "no stream": ([b'{"choices": [{"message": {"content": "Paris"}}]}'], "ended before"),
    "not JSON": ([b"data: <html>\n\n"], "not one of chat completion chunks"),
    "no object": ([b"data: 3\n\n"], "not one of chat completion chunks"),
    "a list of usage": (
        [event({"content": "x"}, "stop"), b'data: {"choices": [], "usage": [1]}\n\n'],
        "not one of chat completion chunks",
    ),
    "calls without an order": (
        [event({"tool_calls": [call() | {"index": 0}, call() | {"index": "a"}]}, "stop")],
        "not one of chat completion chunks",
    ),
    "no text": ([event({"content": 3})], "not one of chat completion chunks"),
    "not finite": ([event({"content": "x"}, "stop", logprobs={"content": [{"logprob": float("nan")}]})], "not finite"),
}


@pytest.mark.parametrize(("chunks", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_stream_is_no_answer(chunks, said):
    with pytest.raises(NoAnswer, match=said):
        read(chunks)


def ask(server, question="?"):
    async def one():
        async with Target(server.at, "tiny") as target:
            return await target.ask(Generate({"messages": [{"role": "user", "content": question}], "stream": True}))

    return asyncio.run(one())


def test_a_server_streams_to_the_target(serve_table):
    server = serve_table({"?": "It is Paris."})
    server.token_delay = 0.005
    answer = ask(server)
    assert answer.text == "It is Paris. "
    assert (answer.finish_reason, answer.completion_tokens) == ("stop", 3)
    assert len(answer.token_times_s) == 3
    assert all(seconds >= 0.005 * place for place, seconds in enumerate(answer.token_times_s, 1))


def test_a_busy_server_is_asked_again_for_the_stream(serve_table):
    server = serve_table({"?": [429, 429, "Paris"]})
    assert ask(server).text == "Paris "
    assert len(server.log) == 3
