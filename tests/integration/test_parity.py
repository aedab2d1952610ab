"""What training sees is what serving gets: the same token ids, the same greedy answers, the same probabilities."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prompts.library import persona, tool_schemas
from serving.text_engine import TextEngine
from training.corpus import almanac
from training.recipe import Dress
from training.rendering import Renderer

CONVERSATIONS, PROMPTS, ANSWER_TOKENS = 500, 200, 24
SYSTEM = {"role": "system", "content": persona()}


@pytest.fixture(scope="module")
def engine(grown_tiny: Path) -> Iterator[TextEngine]:
    with TextEngine(str(grown_tiny), dtype="float32") as engine:
        yield engine


@pytest.fixture(scope="module")
def vllm(engine: TextEngine) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.base_url.removesuffix("/v1"), timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def tokenizer(grown_tiny: Path):
    return AutoTokenizer.from_pretrained(grown_tiny)


@pytest.fixture(scope="module")
def prompts(tokenizer) -> list[list[int]]:
    """Token ids of questions as served, up to the place where the assistant begins to speak."""
    documents = itertools.islice(almanac.chat_documents(seed=99), PROMPTS)
    return [
        tokenizer.apply_chat_template(
            [SYSTEM, document["messages"][0]], tools=tool_schemas(), add_generation_prompt=True, return_dict=True
        )["input_ids"]
        for document in documents
    ]


def test_training_and_vllm_turn_a_conversation_into_the_same_tokens(grown_tiny, tokenizer, engine, vllm):
    documents = list(itertools.islice(almanac.chat_documents(seed=98), CONVERSATIONS))
    renderer = Renderer(
        grown_tiny, Dress(system=persona(), tools=["generate_image", "calculate", "now", "search_documents"])
    )
    trained = [[*document.prefix, *document.ids.tolist()] for document in renderer.conversations(documents)]
    for document, ids in zip(documents, trained, strict=True):
        messages = [SYSTEM, *document["messages"]]
        request = {
            "model": engine.model_name,
            "messages": [as_sent(message) for message in messages],
            "tools": tool_schemas(),
            "add_generation_prompt": False,
        }
        answer = vllm.post("/tokenize", json=request).json()
        assert (
            answer["tokens"]
            == ids
            == tokenizer.apply_chat_template(messages, tools=tool_schemas(), return_dict=True)["input_ids"]
        )


def test_training_and_vllm_answer_alike(grown_tiny, tokenizer, engine, vllm, prompts):
    model = AutoModelForCausalLM.from_pretrained(grown_tiny, dtype=torch.float32).eval()
    request = {
        "model": engine.model_name,
        "prompt": prompts,
        "max_tokens": ANSWER_TOKENS,
        "temperature": 0,
        "logprobs": 0,
        "return_token_ids": True,
    }
    choices = vllm.post("/v1/completions", json=request).json()["choices"]
    served = [choice["token_ids"] for choice in sorted(choices, key=lambda c: c["index"])]
    alike = sum(answer == greedy(model, tokenizer, prompt) for prompt, answer in zip(prompts, served, strict=True))
    assert alike >= 0.98 * PROMPTS
    worst = max(
        float(
            (log_probabilities(model, prompt, choice["token_ids"]) - torch.tensor(choice["logprobs"]["token_logprobs"]))
            .abs()
            .max()
        )
        for prompt, choice in zip(prompts, choices, strict=True)
    )
    assert worst < 1e-3


def as_sent(message: dict) -> dict:
    """A message as it goes over HTTP, where the arguments of a call are a string."""
    calls = [
        call | {"function": call["function"] | {"arguments": json.dumps(call["function"]["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return message | {"tool_calls": calls} if calls else message


@torch.no_grad()
def greedy(model, tokenizer, prompt: list[int]) -> list[int]:
    """What transformers says after `prompt`, token by token, the end token included."""
    output = model.generate(
        torch.tensor([prompt]),
        max_new_tokens=ANSWER_TOKENS,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return output[0, len(prompt) :].tolist()


@torch.no_grad()
def log_probabilities(model, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Log-probability of every token of `answer` after `prompt`; shape (len(answer),)."""
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].float()
    return logits.log_softmax(-1)[range(len(answer)), answer]
