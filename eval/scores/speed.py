"""How fast one streamed answer came, in seconds as the client saw them."""

from itertools import pairwise

from eval.meaning import Meaning
from eval.replies import Answer
from eval.scores.score import Sample, score

SOURCE = "TTFT and inter-token latency as vLLM and MLPerf Inference define them"


@score(
    formula="seconds from sending the request until the first piece of the answer came",
    source=SOURCE,
    caveat="waiting in the server's queue and reading the prompt are in it, less any prefix that it has cached",
    better="low",
    high=None,
)
def first_token_s(sample: Sample, reply: Answer) -> float | None:
    return reply.token_times_s[0] if reply.token_times_s else None


@score(
    formula="mean seconds between one piece of the answer and the next",
    source=SOURCE,
    caveat="a piece is what the server sends at once, mostly one token; pieces that came together are 0 apart",
    better="low",
    high=None,
)
def between_tokens_s(sample: Sample, reply: Answer) -> float | None:
    gaps = token_gaps_s(reply)
    return sum(gaps) / len(gaps) if gaps else None


@score(
    formula="seconds from sending the request until the whole answer was there",
    source="ours",
    caveat="long answers take longer: set it beside the number of tokens",
    better="low",
    high=None,
)
def answer_s(sample: Sample, reply: Answer) -> float:
    return reply.latency_s


BETWEEN_TOKENS = Meaning(
    formula="seconds between one piece of an answer and the next, over the pieces of all answers",
    source=SOURCE,
    caveat="a piece is what the server sends at once, mostly one token; pieces that came together are 0 apart",
    better="low",
    high=None,
)
TOKENS_PER_S = Meaning(
    formula="requests in flight x sum of tokens / sum of seconds that requests took (Little's law: L = lambda W)",
    source="Little 1961, Oper. Res. 9:383, for a closed loop that keeps L requests in flight",
    caveat="as many requests were in flight but at the very end, when the last ones run alone and a little faster",
    high=None,
)
REQUESTS_PER_S = Meaning(
    formula="requests in flight / mean seconds that a request took (Little's law)",
    source=TOKENS_PER_S.source,
    caveat="depends on how long the answers are, which models choose themselves",
    high=None,
)
STREAM_TOKENS_PER_S = Meaning(
    formula="sum of the tokens after the first / sum of seconds from the first to the last of each answer",
    source="the reciprocal of vLLM's and MLPerf's time per output token",
    caveat="of answers of at least two tokens; what a single reader sees, while so many others are served",
    high=None,
)


def token_gaps_s(reply: Answer) -> list[float]:
    """Seconds between the pieces of the answer, one fewer than there are pieces."""
    return [later - earlier for earlier, later in pairwise(reply.token_times_s or ())]


def tokens_in(reply: Answer) -> int:
    """Tokens of the answer as the server counts them, or its pieces where it does not say."""
    return reply.completion_tokens if reply.completion_tokens is not None else len(reply.token_times_s or ())
