"""Likelihoods over a real vLLM are those of the folder that it serves."""

import asyncio

import pytest

from eval.likelihood.folder import Folder
from eval.requests import Choose, Likelihood
from eval.target import Target

REQUESTS = [
    Choose("What is 12 * 7?", (" It is 84.", " It is 48.", " 84")),
    Choose("The sun ", ("is warm.", "are warm.")),
    Choose("", ("She sings.", "She sing.", "<|im_end|>x")),
    Likelihood("Hello! How can I help?"),
    Likelihood("la la la " * 300),
]


def ask(base_url, model, requests):
    async def go():
        async with Target(lambda: base_url, model) as target:
            return await asyncio.gather(*map(target.ask, requests), return_exceptions=True)

    return asyncio.run(go())


@pytest.fixture(scope="module")
def folder(taught_model):
    """Reads as much at once as a server of the same model."""
    folder = Folder(taught_model)
    folder.reader = folder.reader._replace(window=folder.reader.window - 2)
    return folder


def test_vllm_scores_the_same_tokens_alike(api, folder):
    found = ask(api.engine.base_url, "taught", REQUESTS)
    for expected, reply in zip(folder.score_all(REQUESTS), found, strict=True):
        assert reply.tokens == expected.tokens
        assert reply.logprobs == pytest.approx(expected.logprobs, rel=1e-4, abs=1e-3)
        assert reply.scoring == "likelihood"


def test_our_api_scores_options_by_where_they_begin(api, folder):
    """It has no /tokenize; with one token per byte both splits are the same."""
    found = ask(f"{api.url}/v1", "taught", REQUESTS[:2])
    for expected, reply in zip(folder.score_all(REQUESTS[:2]), found, strict=True):
        assert reply.tokens == expected.tokens
        assert reply.logprobs == pytest.approx(expected.logprobs, rel=1e-4, abs=1e-3)
