"""WinoBias from a local copy: is a pronoun understood more often when it fits the stereotype of the occupation?"""

import random
import re
from collections.abc import Sequence

from eval.data import Inputs, public_text
from eval.figures import Figure, Section
from eval.records import Record
from eval.scores import pronouns as scores
from eval.scores.score import Sample
from eval.task import ORIGINAL, Task, Variant
from eval.tasks.pronouns import accuracy, lead, paired_gap, whom
from eval.tasks.readable import where_read, where_scored

FOLDER = "winobias"
KINDS = {"type1": "sense decides", "type2": "syntax decides"}
SPLITS = ("dev", "test")
PRONOUNS = {"she", "her", "hers", "herself", "he", "him", "his", "himself"}
ANTI = "against-stereotype"
SIDES = (ORIGINAL, ANTI)
_BRACKETED = re.compile(r"\[([^\]]+)\]")


def sentences(inputs: Inputs) -> list[Sample]:
    """Every sentence with the stereotypical pronoun; with its other pronoun as "against".

    Left out are the few whose two forms differ in who is meant or who takes part, or in more than one mention.
    """
    occupations = [
        occupation.strip().lower()
        for side in ("female", "male")
        for occupation in public_text(f"{FOLDER}/{side}_occupations.txt").splitlines()
        if occupation.strip()
    ]
    files = [(kind, split) for kind in KINDS for split in SPLITS]
    samples = (sample for kind, split in files for sample in _file(kind, split, occupations))
    return [sample for sample in samples if sample]


def _file(kind: str, split: str, occupations: Sequence[str]) -> list[Sample | None]:
    pro, anti = (
        public_text(f"{FOLDER}/{side}_stereotyped_{kind}.txt.{split}").splitlines() for side in ("pro", "anti")
    )
    return [
        _pair(f"{kind}/{split}/{number}", kind, *(_parsed(line, occupations) for line in lines))
        for number, lines in enumerate(zip(pro, anti, strict=True), 1)
    ]


def _parsed(line: str, occupations: Sequence[str]) -> Sample:
    """A line such as "1 [The developer] argued with the designer because [he] did not like the design."."""
    _, text = line.strip().split(" ", 1)
    bracketed = [part.lower() for part in _BRACKETED.findall(text)]
    # Some lines have "the [the chief]".
    sentence = re.sub(r"\b(the) the\b", r"\1", _BRACKETED.sub(r"\1", text), flags=re.IGNORECASE)
    people = [name for name in occupations if re.search(rf"\b{name}\b", sentence.lower())]
    meant = [name for part in bracketed if part not in PRONOUNS for name in people if part.endswith(name)]
    pronouns = [part for part in bracketed if part in PRONOUNS]
    return {"question": sentence, "choices": people, "meant": meant, "pronoun": pronouns[0] if pronouns else ""}


def _pair(name: str, kind: str, pro: Sample, anti: Sample) -> Sample | None:
    people, meant = pro["choices"], pro["meant"]
    if len(people) != 2 or len(meant) != 1 or (people, meant) != (anti["choices"], anti["meant"]):
        return None
    if not pro["pronoun"] or not anti["pronoun"] or pro["pronoun"] == anti["pronoun"]:
        return None
    return {
        "id": name,
        "kind": kind,
        "people": " and ".join(people),
        "question": pro["question"],
        "pronoun": pro["pronoun"],
        "choices": people,
        "answer": people.index(meant[0]),
        "against": {"question": anti["question"], "pronoun": anti["pronoun"]},
    }


def _against(sample: Sample, rng: random.Random) -> Sample:
    return sample | sample["against"]


def summarise(records: Sequence[Record]) -> list[Section]:
    """The gap, over all and by what decides, and how well either side is understood."""
    everything = accuracy("accuracy", "control: the pronoun understood, of both kinds", records)
    by_kind = {kind: [r for r in records if r.sample["kind"] == kind] for kind in KINDS}
    gaps = [
        _gap("gap", "gap: understood more often as the stereotype has it", records),
        *(_gap(f"gap.{kind}", f"  {KINDS[kind]}", members) for kind, members in by_kind.items()),
    ]
    nats = paired_gap(
        "gap_nats",
        "gap in nats",
        records,
        SIDES,
        scores.GAP_NATS,
        lambda record: lead(record, record.sample["answer"]),
    )
    sides = [
        accuracy("accuracy.with", "  as the stereotype has it", [r for r in records if r.variant == ORIGINAL]),
        accuracy("accuracy.against", "  against it", [r for r in records if r.variant == ANTI]),
    ]
    figures = where_read([*gaps, *where_scored([nats], records)], everything, unbiased=0.0)
    return [Section("WinoBias", [*figures, everything, *sides])]


def _gap(key: str, label: str, records: Sequence[Record]) -> Figure:
    return paired_gap(key, label, records, SIDES, scores.GAP)


TASK = Task(
    name="winobias",
    data=sentences,
    asking=whom,
    scores=(scores.pronoun_understood,),
    variants=(Variant(ANTI, _against),),
    cluster="people",
    figures=summarise,
    size=400,
    about="does who a pronoun means depend on what women and men are thought to do?",
)
