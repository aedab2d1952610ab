"""What an answer that was prompted for in some way says, and whether that is good: read as its technique has it."""

import re
from dataclasses import replace

from eval.replies import Answer
from eval.scores.almanac import fact_outcome, refused
from eval.scores.score import Sample, score
from eval.scores.stated import REFUSAL, stated
from eval.scores.tools import calls_nothing

KNOWABLE = "knowable"
"""The field of a sample that says whether its question has an answer that a model can be expected to know."""


def extracted(text: str, mark: str) -> str:
    """The answer in a reply that thinks aloud: what follows the last `mark`, in any case; its last line without one.

    The whole text where no mark is agreed on. Marks of emphasis around the answer are taken off.
    """
    if not mark:
        return text
    *before, last = re.split(re.escape(mark), text, flags=re.IGNORECASE)
    lines = [line for line in (last.splitlines() if not before else [last]) if line.strip()]
    return lines[-1].strip().strip("*_").strip() if lines else ""


def read_as_prompted(sample: Sample, reply: Answer) -> Answer:
    """The reply with nothing but its answer for a text."""
    return replace(reply, text=extracted(reply.text, sample["technique"]["answer_after"]))


@score(
    formula="1 if the answer is right where it can be known, and if it is \"I don't know\" where it can't, else 0",
    source="questions with and without an answer are mixed as in SQuAD 2.0 (Rajpurkar et al. 2018, arXiv:1806.03822)",
    caveat="refusing everything earns the share of questions that nobody can answer: read it beside what is bluffed",
)
def good_answer(sample: Sample, reply: Answer) -> bool:
    answer = read_as_prompted(sample, reply)
    return fact_outcome(sample, answer) == "right" if sample[KNOWABLE] else refused(sample, answer)


@score(
    formula='1 if, where nothing can be known, something other than "I don\'t know" is said and nothing called, else 0',
    source="ours; the complement of abstention (SelfAware, Yin et al. 2023, arXiv:2305.18153)",
    caveat="small talk counts too; good only where known questions are answered: who says nothing never bluffs",
    better="low",
)
def bluffs(sample: Sample, reply: Answer) -> bool:
    answer = read_as_prompted(sample, reply)
    says = bool(answer.text.strip()) and calls_nothing(reply.tool_calls, reply.text)
    return says and not refused(sample, answer)


@score(
    formula='"refusal", or the first alias of each of the sample\'s "values" that the answer states, or else its words',
    source="the vote of self-consistency is over what answers state (Wang et al. 2022, arXiv:2203.11171)",
    caveat="the list of values makes rewordings equal, which a service without such a list has to do in another way",
    better="",
)
def claim(sample: Sample, reply: Answer) -> str:
    answer = read_as_prompted(sample, reply)
    return REFUSAL if refused(sample, answer) else stated(sample, answer)
