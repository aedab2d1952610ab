"""Texts gone on with in this process: what the model finds likeliest, token by token."""

import asyncio
import json
import shutil

import pytest
from aiohttp import web

from eval.likelihood.folder import Folder
from eval.likelihood.split import NOT_FINITE
from eval.replies import NoAnswer
from eval.requests import Continue, Likelihood
from eval.target import Target
from tests.tiny_model import one_thread, write_tiny_model
from tests.unit.eval.threaded_server import ThreadedServer

REQUESTS = [Continue("The hen", 12), Continue("A cow gives milk", 5), Continue("The fox", 7), Continue("A dog", 12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("continuing") / "model", seed=3)


@pytest.fixture(scope="module")
def folder(model):
    with one_thread():
        yield Folder(model)


def greedy(folder, text, count):
    """The same by one whole forward pass for every token."""
    import torch

    ids = folder._tokenizer(text).input_ids
    start = len(ids)
    while len(ids) < start + count:
        with torch.inference_mode():
            ids.append(int(folder._model(torch.tensor([ids])).logits[0, -1].argmax()))
    return folder._tokenizer.decode(ids[start:])


def test_replies_are_greedy_and_in_the_order_of_the_requests(folder):
    mixed = [REQUESTS[0], Likelihood("One short text."), *REQUESTS[1:]]
    first, scored, *others = folder.score_all(mixed)
    assert [reply.text for reply in (first, *others)] == [greedy(folder, r.text, r.max_tokens) for r in REQUESTS]
    assert {reply.finish_reason for reply in (first, *others)} == {"length"}
    assert sum(scored.by_token) == pytest.approx(scored.logprobs[0], abs=1e-3)
    assert len(scored.by_token) == scored.tokens[0] == len("One short text.")


def test_more_than_the_model_reads_at_once_is_an_error_of_that_request(folder):
    long, short = folder.score_all([Continue("x" * 1020, 12), REQUESTS[0]])
    assert isinstance(long, NoAnswer)
    assert short.completion_tokens == 12


def test_a_broken_model_does_not_go_on(model, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with one_thread():
        replies = list(Folder(broken).score_all(REQUESTS))
    assert [str(reply) for reply in replies if isinstance(reply, NoAnswer)] == [NOT_FINITE] * len(REQUESTS)


class CompletionServer(ThreadedServer):
    """Says `content` to every completion, and keeps what it was sent."""

    def __init__(self, content):
        super().__init__()
        self.content, self.log = content, []

    def routes(self):
        return (("POST", "/v1/completions", self._complete),)

    async def _complete(self, request):
        self.log.append(await request.json())
        return web.Response(body=json.dumps(self.content).encode(), content_type="application/json")


def asked(content):
    """What the server was sent, and what was made of its answer."""

    async def ask():
        async with Target(lambda: server.base_url, "tiny") as target:
            return await target.ask(Continue("The hen", 12))

    with CompletionServer(content) as server:
        return server.log, asyncio.run(ask())


def test_over_an_endpoint_plain_text_is_completed_greedily():
    said = {"choices": [{"text": " lays eggs.", "finish_reason": "stop"}], "usage": {"completion_tokens": 4}}
    (body,), reply = asked(said)
    assert body == {"model": "tiny", "prompt": "The hen", "max_tokens": 12, "temperature": 0}
    assert (reply.text, reply.finish_reason, reply.completion_tokens) == (" lays eggs.", "stop", 4)


@pytest.mark.parametrize(
    "said", [{}, {"choices": []}, {"choices": [{"text": None}]}, [], {"choices": [{"message": {}}]}]
)
def test_what_is_no_completion_is_no_answer(said):
    with pytest.raises(NoAnswer, match="not a completion"):
        asked(said)
