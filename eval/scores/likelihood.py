"""What likelihoods say of a model's language: how well it predicts texts, and which of two sentences it prefers."""

import math
import re

from eval.meaning import Meaning
from eval.replies import Scored
from eval.scores.score import Sample, score

LM_EVAL = "as lm-eval 0.4.13 computes it (disjoint windows, BOS or else EOS before the first token)"
WINDOWS = "depends on the window and on what stands before the first token"
PERPLEXITY = Meaning(
    formula="exp(-sum of ln p / number of tokens), over all documents together",
    source="Jelinek et al. 1977, J. Acoust. Soc. Am. 62:S63",
    caveat=f"not comparable across tokenizers; {WINDOWS}",
    better="low",
    low=1.0,
    high=None,
)
BYTE_PERPLEXITY = Meaning(
    formula="exp(-sum of ln p / number of UTF-8 bytes), over all documents together",
    source=f"byte_perplexity {LM_EVAL}",
    caveat=f"the same as 2 to the power of bits per byte; {WINDOWS}",
    better="low",
    low=1.0,
    high=None,
)
WORD_PERPLEXITY = Meaning(
    formula="exp(-sum of ln p / number of words), words being what blanks separate, over all documents together",
    source=f"word_perplexity {LM_EVAL}",
    caveat=f"means little where blanks do not separate words; {WINDOWS}",
    better="low",
    low=1.0,
    high=None,
)


@score(
    formula="-sum of ln p / number of tokens",
    source="cross-entropy (Shannon 1948), in nats",
    caveat=f"not comparable across tokenizers; {WINDOWS}",
    better="low",
    high=None,
)
def cross_entropy(sample: Sample, reply: Scored) -> float:
    return -sum(reply.logprobs) / sum(reply.tokens)


@score(
    formula="-sum of log2 p / number of UTF-8 bytes",
    source=f"bits_per_byte {LM_EVAL}",
    caveat=f"comparable across tokenizers; {WINDOWS}",
    better="low",
    high=None,
)
def bits_per_byte(sample: Sample, reply: Scored) -> float:
    return -sum(reply.logprobs) / math.log(2) / utf8_bytes(sample["text"])


@score(
    formula="-sum of log2 p / number of characters (Unicode code points)",
    source="as in character-level language modelling (Graves 2013, arXiv:1308.0850)",
    caveat=f"equals bits per byte for plain ASCII; {WINDOWS}",
    better="low",
    high=None,
)
def bits_per_character(sample: Sample, reply: Scored) -> float:
    return -sum(reply.logprobs) / math.log(2) / len(sample["text"])


@score(
    formula="1 if the good sentence of the pair is more likely than the bad one, else 0; a tie is no preference",
    source="BLiMP (Warstadt et al. 2020, arXiv:1912.00582), whole sentences without normalisation",
    caveat="chance is one half; a bad sentence that is longer or has rarer words is easier to tell; sentences of BLiMP "
    "are scored with a blank before them, as lm-eval 0.4.13 does",
)
def prefers_good(sample: Sample, reply: Scored) -> bool | None:
    good, bad = reply.logprobs
    return None if reply.scoring == "letters" and good == bad else good > bad


@score(
    formula="1 if the option with the highest log-probability per character is the right one, else 0",
    source='"acc_norm" of the Language Model Evaluation Harness (Gao et al. 2021)',
    caveat="favours long options; chance is one by the number of options; has no meaning where letters were asked for",
)
def right_option_by_length(sample: Sample, reply: Scored) -> bool | None:
    rates = [p / len(option) for p, option in zip(reply.logprobs, sample["choices"], strict=True)]
    best = max(rates)
    readable = reply.scoring == "likelihood" and rates.count(best) == 1
    return rates.index(best) == sample["answer"] if readable else None


def utf8_bytes(text: str) -> int:
    return len(text.encode())


def word_count(text: str) -> int:
    """Stretches between blanks; a blank at an end of the text makes one more, as in lm-eval."""
    return len(re.split(r"\s+", text))
