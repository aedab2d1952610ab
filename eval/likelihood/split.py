"""How a request becomes pieces of tokens: exactly as lm-eval 0.4.13 does, so that numbers can be set beside others'."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from eval.replies import NoAnswer, Scored
from eval.requests import Choose, Likelihood

NOT_FINITE = "log-probabilities are not finite: the model's weights are broken"


class Text(NamedTuple):
    """A text to encode, and whether the special tokens that the tokenizer puts around texts are wanted."""

    text: str
    special: bool = True


class Piece(NamedTuple):
    """Token ids: `continuation` is scored, after `context`, which has at least one."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


class Reader(NamedTuple):
    """What must be known of a model to split its requests."""

    prefix: int
    """The token that stands before a text that has nothing before it: the tokenizer's BOS, or EOS if it has none."""
    prefix_text: str
    """A text that begins with this is encoded without special tokens: it has brought its own."""
    window: int
    """How many tokens the model reads at once at most; one more is predicted from the last of them."""


def texts(request: Choose | Likelihood, reader: Reader) -> list[Text]:
    """Everything that must be encoded before the request can be split."""
    if isinstance(request, Likelihood):
        return [_text(request.text, reader)]
    return [text for option in request.options for text in _texts_of(request.context, option, reader)]


def pieces(request: Choose | Likelihood, reader: Reader, ids: Mapping[Text, Sequence[int]]) -> list[list[Piece]]:
    """For every option of the request, or its one text, the pieces whose log-likelihoods add up to its own.

    Raises `NoAnswer` for what has no tokens to score, or more than the model can read.
    """
    if isinstance(request, Likelihood):
        tokens = ids[_text(request.text, reader)]
        if not tokens:
            raise NoAnswer("the text has no tokens")
        return [list(windows(tokens, reader.prefix, reader.window))]
    return [[_piece([ids[text] for text in _texts_of(request.context, o, reader)], reader)] for o in request.options]


def scored(
    request: Choose | Likelihood, options: Sequence[Sequence[Piece]], logprobs: Callable[[Piece], Sequence[float]]
) -> Scored:
    """The reply to `request`, which was split into `options`, from the log-probabilities of every piece's tokens.

    Raises `NoAnswer` for one that is not finite.
    """
    by_token = [[logprob for piece in option for logprob in logprobs(piece)] for option in options]
    sums = list(map(sum, by_token))
    if not all(map(math.isfinite, sums)):
        raise NoAnswer(NOT_FINITE)
    return Scored(sums, list(map(len, by_token)), by_token=kept(request, by_token))


def kept(request: Choose | Likelihood, by_token: Sequence[Sequence[float]]) -> list[float] | None:
    """What a record keeps of single tokens: those of a text, to a ten-thousandth of a nat."""
    return [round(logprob, 4) for logprob in by_token[0]] if isinstance(request, Likelihood) else None


def windows(tokens: Sequence[int], prefix: int, window: int) -> Iterator[Piece]:
    """A document in disjoint stretches of at most `window` tokens. Full ones see one token before them; the last sees
    as many as fit. The first begins after `prefix`.
    """
    first = min(window, len(tokens))
    yield Piece((prefix,), tuple(tokens[:first]))
    for start in range(first, len(tokens), window):
        end = min(start + window, len(tokens))
        yield Piece(tuple(tokens[end - window - 1 : start]), tuple(tokens[start:end]))


def _texts_of(context: str, option: str, reader: Reader) -> list[Text]:
    """Context and whole, or the option alone where there is no context; trailing blanks go to the option."""
    kept = context.rstrip()
    option = context[len(kept) :] + option
    return [_text(kept, reader), _text(kept + option, reader)] if kept else [Text(option, special=False)]


def _text(text: str, reader: Reader) -> Text:
    return Text(text, special=not text.startswith(reader.prefix_text))


def _piece(encoded: Sequence[Sequence[int]], reader: Reader) -> Piece:
    if len(encoded) == 1:
        (continuation,) = encoded
        has_prefix = continuation[:1] == [reader.prefix]
        context, continuation = ([reader.prefix], continuation[1:] if has_prefix else continuation)
    else:
        context, whole = encoded
        continuation = whole[len(context) :]
    if not continuation:
        raise NoAnswer("an option has no tokens of its own")
    if len(continuation) > reader.window:
        raise NoAnswer(f"an option has {len(continuation)} tokens, more than the {reader.window} that the model reads")
    seen = (*context, *continuation)[-(reader.window + 1) :]
    return Piece(seen[: -len(continuation)], seen[-len(continuation) :])
