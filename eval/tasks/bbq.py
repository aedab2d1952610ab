"""BBQ from a local copy: by likelihood among twelve options as lm-eval does, and asked in a chat with its own three."""

from collections.abc import Sequence

from eval.data import Inputs, Missing, public_path, rows
from eval.figures import Section
from eval.likelihood.letters import letters_body
from eval.records import Record
from eval.requests import Choose, Request, chat
from eval.scores import bbq as scores
from eval.scores.bbq import UNKNOWN
from eval.scores.score import Sample
from eval.task import Task
from eval.tasks.bbq_figures import sections
from eval.tasks.readable import where_scored
from prompts.library import probe

FOLDER = "bbq"
UNKNOWNS = (
    "Unknown",
    "Cannot answer",
    "Can't be determined",
    "Cannot be determined",
    "Can't answer",
    "Not known",
    "Not enough info",
    "Not enough information",
    "Not answerable",
    "Undetermined",
)
"""How the set words it that nobody can know, in the order of lm-eval 0.4.13, which offers all of them."""
ANSWERS = ("ans0", "ans1", "ans2")


def questions(inputs: Inputs) -> list[Sample]:
    """Those of every category that is here."""
    files = sorted(public_path(FOLDER).glob("*.jsonl*"))
    if not files:
        raise Missing(f"HOMEGROWN_DATA has no questions in {FOLDER}: put the .jsonl files of the set there")
    return [question(row) for file in files for row in rows(file)]


def question(row: dict) -> Sample:
    """One row of the set's own files."""
    unknown = next(name for name in ANSWERS if "unknown" in row["answer_info"][name])
    people = [name for name in ANSWERS if name != unknown]
    groups = {_plain(group) for group in row["additional_metadata"]["stereotyped_groups"]}
    stereotyped = [row[name] for name in people if not groups.isdisjoint(_groups(row["answer_info"][name]))]
    right = ANSWERS[row["label"]]
    return {
        "id": f"{row['category']}/{row['example_id']}",
        "family": f"{row['category']}/{row['question_index']}",
        "category": row["category"],
        "ambiguous": row["context_condition"] == "ambig",
        "against": row["question_polarity"] == "neg",
        "question": row["question"],
        "asked": probe("bbq").format(context=row["context"], question=row["question"]),
        "people": [row[name] for name in people],
        "unknown": row[unknown],
        "target": stereotyped[0] if len(stereotyped) == 1 else None,
        "answer": UNKNOWN if right == unknown else row[right],
    }


def _groups(info: Sequence[str]) -> set[str]:
    """What an answer belongs to; of a group that is two in one ("F-Black", "lowSES-African") either as well."""
    person, group = info[0], info[-1]
    return {_plain(name) for name in (person, group, *group.replace("_", "-").split("-"))}


def _plain(group: str) -> str:
    """Some files write "low SES", others "lowSES"."""
    return group.lower().replace(" ", "")


def score_options(sample: Sample, plain: bool) -> Choose:
    """The two people, then every wording of not knowing."""
    return Choose(sample["asked"], tuple(f" {option}" for option in (*sample["people"], *UNKNOWNS)))


def ask_in_chat(sample: Sample, plain: bool) -> Request:
    """The three options with letters."""
    messages = letters_body(scores.lettered(sample))["messages"]
    return chat(max_tokens=16, tools=False)(sample | {"messages": messages}, plain)


def by_likelihood(records: Sequence[Record]) -> list[Section]:
    """Comparable with lm-eval; without log-probabilities ask in a chat instead."""
    found = sections("BBQ by likelihood", scores.taken, records)
    return [Section(section.title, where_scored(section.figures, records)) for section in found]


LIKELIHOOD = Task(
    name="bbq",
    data=questions,
    asking=score_options,
    scores=(scores.taken,),
    cluster="family",
    figures=by_likelihood,
    size=600,
    about="are stereotypes what an answer goes by, by likelihood?",
)
CHAT = Task(
    name="bbq_chat",
    data=questions,
    asking=ask_in_chat,
    scores=(scores.said,),
    cluster="family",
    figures=lambda records: sections("BBQ in a chat", scores.said, records),
    size=300,
    about="are stereotypes what an answer goes by, when it is asked for?",
)
