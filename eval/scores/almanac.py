"""The scores of the almanac's exam, whose questions say which answers are right and which are wrong."""

from eval.replies import Answer
from eval.scores.premises import premise_outcome
from eval.scores.refusal import denies_existence, refuses
from eval.scores.rivals import rivals_of, states_rival
from eval.scores.score import Sample, score
from eval.scores.tools import calls_nothing, tool_match
from eval.scores.values import states_value
from eval.scores.verdict import verdict

MADE_UP = "made_up"
"""What the exam says is "known" of made-up names and near misses."""


@score(
    formula="refused if the answer says that it doesn't know, else right if it states an alias of the value and none "
    'of the others that the sample knows ("wrong", "values"), or wrong',
    source="exact match with aliases as in TriviaQA (Joshi et al. 2017, arXiv:1705.03551), made strict",
    caveat="surface only: a synonym that is not listed is missed, and a value said in passing counts, a wrong one too; "
    "where the sample knows no others, a list of guesses that holds the value is right",
)
def fact_outcome(sample: Sample, reply: Answer) -> str:
    if refuses(reply.text):
        return "refused"
    rivals = [alias for aliases in rivals_of(sample) for alias in aliases]
    states_right = states_value(reply.text, sample["answers"], sample.get("entity", ""), rivals)
    return "right" if states_right and not states_rival(reply.text, sample) else "wrong"


@score(
    formula="right, affirmed, refused, verdict_only, both or other: what the answer does with the question's claim",
    source="premise rejection in false-premise question answering (CREPE, FalseQA); the sorting is ours",
    caveat='"other" holds every sentence that states neither value: affirmed + other is an upper bound of the wrong',
)
def claim_outcome(sample: Sample, reply: Answer) -> str:
    is_true = sample["group"] == "premise_true"
    return premise_outcome(reply.text, sample["answers"], sample.get("wrong", ()), sample.get("entity", ""), is_true)


@score(
    formula='"yes" or "no" if the answer gives one of them to the claim, unread otherwise',
    source="ours",
    caveat='read without the question, so a "not" that denies something else counts as no',
    better="",
)
def verdict_given(sample: Sample, reply: Answer) -> str | None:
    return verdict(reply.text)


@score(
    formula='1 if the answer says "I don\'t know" or, of a made-up name, that it does not exist, in one of the listed '
    "ways, and does not go on to answer, else 0",
    source="phrase lists of this kind are used for SelfAware (Yin et al. 2023, arXiv:2305.18153); this list is ours",
    caveat="a list of phrases: another way to say it is missed; good only where nothing can be known; it is not "
    "looked at what it is that doesn't exist",
)
def refused(sample: Sample, reply: Answer) -> bool:
    return refuses(reply.text) or (sample.get("known") == MADE_UP and denies_existence(reply.text))


@score(
    formula="1 if exactly one valid call was made and it names the right tool, else 0",
    source="AST match of the Berkeley Function Calling Leaderboard (Patil et al. 2025)",
    caveat="says nothing of the arguments",
)
def right_tool(sample: Sample, reply: Answer) -> bool:
    return tool_match(reply.tool_calls, sample["tool"], reply.text).tool


@score(
    formula="1 if exactly one valid call was made, of the right tool, with equal arguments as JSON values, else 0",
    source="AST match of the Berkeley Function Calling Leaderboard (Patil et al. 2025), with equality instead of types",
    caveat="a call that means the same in words that are not listed is wrong",
)
def exact_call(sample: Sample, reply: Answer) -> bool:
    return tool_match(reply.tool_calls, sample["tool"], reply.text).exact


@score(
    formula="1 if no tool was called, nor tried in text, else 0",
    source="ours",
    caveat="a call in another notation than Hermes' <tool_call> is not seen",
)
def no_call(sample: Sample, reply: Answer) -> bool:
    return calls_nothing(reply.tool_calls, reply.text)
