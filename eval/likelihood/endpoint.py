"""Likelihoods by a server: of echoed prompts where it gives them, or else the letter that it chooses in a chat."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

from eval.completions import MALFORMED
from eval.likelihood.letters import letters_body, read_letter
from eval.likelihood.split import NOT_FINITE, Piece, Reader, Text, kept, pieces, scored, texts
from eval.replies import NoAnswer, Refused, Scored
from eval.requests import Choose, Likelihood

T = TypeVar("T")
Way = Callable[[Choose | Likelihood], Awaitable[Scored]]

ECHO = {"max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
"""Some servers take 0 tokens for no limit, so one is generated and left aside."""
TOKENIZE, DETOKENIZE = "/../tokenize", "/../detokenize"
"""vLLM has them beside /v1."""
VLLM_FLOOR = -9999.0
"""What vLLM writes for minus infinity."""
VLLM_NOT_FINITE = "Out of range float values"
"""What it answers instead of a NaN."""


class Server(Protocol):
    """What is needed of a target."""

    async def post(self, path: str, body: dict, read: Callable[[bytes, float], T]) -> T: ...


class Endpoint:
    """Scores over HTTP, in the best way that the server knows; which one that is, is asked once.

    A vLLM encodes the texts itself (/tokenize) and scores exactly the tokens that `eval.likelihood.folder` would. Of
    other servers that echo log-probabilities the option's are found by where its text begins.
    """

    def __init__(self, server: Server):
        self._server = server
        self._finding = asyncio.Lock()
        self._way: Way | None = None

    async def score(self, request: Choose | Likelihood) -> Scored:
        """The reply to one request. Raises what `Target.ask` raises."""
        if self._way is None:
            async with self._finding:
                self._way = self._way or await self._find_way()
        try:
            return await self._way(request)
        except MALFORMED:
            raise NoAnswer("the answer is not the completion with log-probabilities that was asked for") from None

    async def _find_way(self) -> Way:
        if not await self._echoes():
            return self._by_letters
        reader = await self._reader()
        return partial(self._by_tokens, reader) if reader else self._by_text

    async def _echoes(self) -> bool:
        """Whether the server gives log-probabilities of a prompt."""
        try:
            choices, _ = await self._server.post("/completions", {"prompt": "one two three"} | ECHO, _choices)
            text, logprobs = choices[0]["text"], choices[0]["logprobs"]["token_logprobs"]
            given = any(logprob is not None for logprob in logprobs[:-1])
        except Refused as refusal:
            if VLLM_NOT_FINITE in str(refusal):
                raise NoAnswer(NOT_FINITE) from None
            return False
        except MALFORMED:
            return False
        return text.startswith("one two three") and given

    async def _reader(self) -> Reader | None:
        """What vLLM says of its model; None where the server is another."""
        try:
            empty = await self._server.post(TOKENIZE, {"prompt": ""}, _json)
            prefix = empty["tokens"][0] if empty["tokens"] else await self._end_token()
            text = await self._server.post(DETOKENIZE, {"tokens": [prefix]}, _json)
            # Of what vLLM reads it must be able to generate one more, and the last token scored is read as well.
            return Reader(prefix, text["prompt"], empty["max_model_len"] - 2)
        except (Refused, *MALFORMED):
            return None

    async def _end_token(self) -> int:
        """The EOS token's id, which vLLM tells nobody: it is what follows when no more than "a" is allowed."""
        body = {"prompt": "a", "max_tokens": 8, "structured_outputs": {"choice": ["a"]}, "return_token_ids": True}
        choices, _ = await self._server.post("/completions", body, _choices)
        return choices[0]["token_ids"][-1]

    async def _by_tokens(self, reader: Reader, request: Choose | Likelihood) -> Scored:
        wanted = list(dict.fromkeys(texts(request, reader)))
        ids = dict(zip(wanted, await asyncio.gather(*map(self._encode, wanted)), strict=True))
        options = pieces(request, reader, ids)
        asked = list(dict.fromkeys(chain.from_iterable(options)))
        body = {"prompt": [[*piece.context, *piece.continuation] for piece in asked]} | ECHO
        choices, latency_s = await self._server.post("/completions", body, _choices)
        logprobs = {piece: _own(piece, choice) for piece, choice in zip(asked, choices, strict=True)}
        return replace(scored(request, options, logprobs.__getitem__), latency_s=latency_s)

    async def _encode(self, text: Text) -> list[int]:
        body = {"prompt": text.text, "add_special_tokens": text.special}
        return (await self._server.post(TOKENIZE, body, _json))["tokens"]

    async def _by_text(self, request: Choose | Likelihood) -> Scored:
        context, options = ("", (request.text,)) if isinstance(request, Likelihood) else _split(request)
        body = {"prompt": [context + option for option in options]} | ECHO
        choices, latency_s = await self._server.post("/completions", body, _choices)
        logprobs = [_after(context, context + o, choice) for o, choice in zip(options, choices, strict=True)]
        sums, counts = list(map(sum, logprobs)), list(map(len, logprobs))
        return Scored(sums, counts, latency_s=latency_s, by_token=kept(request, logprobs))

    async def _by_letters(self, request: Choose | Likelihood) -> Scored:
        if isinstance(request, Likelihood):
            raise NoAnswer("the server gives no log-probabilities of a text: score the model's folder, or use a vLLM")
        return await self._server.post("/chat/completions", letters_body(request), partial(read_letter, request))


def _split(request: Choose) -> tuple[str, list[str]]:
    """Context and options, with the context's trailing blanks before the options."""
    context = request.context.rstrip()
    return context, [request.context[len(context) :] + option for option in request.options]


def _own(piece: Piece, choice: dict) -> list[float]:
    """The log-probabilities of the tokens of the piece's continuation."""
    start = len(piece.context)
    return _finite(choice["logprobs"]["token_logprobs"][start : start + len(piece.continuation)])


def _after(context: str, prompt: str, choice: dict) -> list[float]:
    """The log-probabilities of the prompt's tokens that begin after `context`."""
    given = choice["logprobs"]
    # A BOS that the server puts in front and spells out is counted by its offsets, but is no part of the prompt.
    ahead = 0 if prompt.startswith(given["tokens"][0]) else len(given["tokens"][0])
    begin, end = len(context) + ahead, len(prompt) + ahead
    starts = zip(given["text_offset"], given["token_logprobs"], strict=True)
    logprobs = [p for offset, p in starts if begin <= offset < end]
    if not logprobs:
        raise NoAnswer("an option has no tokens of its own")
    if logprobs[0] is None:
        raise NoAnswer("the server gives a text's first token no log-probability: score the model's folder or a vLLM")
    return _finite(logprobs)


def _finite(logprobs: Sequence[float | None]) -> list[float]:
    if not all(p is not None and VLLM_FLOOR < p <= 1e-3 for p in logprobs):
        raise NoAnswer(NOT_FINITE)
    return list(logprobs)


def _choices(content: bytes, latency_s: float) -> tuple[list[dict], float]:
    body = _json(content, latency_s)
    choices = body.get("choices")
    if not isinstance(choices, list) or not all(_is_choice(choice) for choice in choices):
        raise NoAnswer("the answer is not a completion: its choices have no text or no index")
    return sorted(choices, key=lambda choice: choice["index"]), round(latency_s, 4)


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("text"), str) and isinstance(choice.get("index"), int)


def _json(content: bytes, latency_s: float) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except MALFORMED:
        raise NoAnswer("the answer is not JSON") from None
    if not isinstance(body, dict):
        raise NoAnswer("the answer is not a JSON object")
    return body
