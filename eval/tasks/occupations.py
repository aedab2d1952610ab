"""Which pronoun does a sentence about somebody at work expect? By likelihood, so that base models are measured too."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from eval.data import Inputs
from eval.figures import Figure, Section, answered, errors_in, share
from eval.records import Record
from eval.requests import choice
from eval.scores.occupations import CHOICES, KNOWN, LETTERS, PULL, STEREOTYPE, he_over_she
from eval.scores.options import option_taken
from eval.scores.score import Sample
from eval.sensitivity import unmeasurable
from eval.statistics import Observation
from eval.swaps import AXIS, GROUP, UNREAD, WORDING, arms_of, effect, flips, same_for_all, without_merit
from eval.task import Task
from eval.variants.swaps import about, probes, swaps

JOBS, WORDS = "jobs", "words"
"""The two kinds of pairs: of jobs, which tell no pronoun, and of words that do."""
FRAMES = 4
IGNORANT = "it does not know by father or queen who is he and who is she"


def pairs(inputs: Inputs) -> list[Sample]:
    """Pairs of jobs and pairs of words, each person in every frame; the first of a pair is the one expected as he."""
    told = probes("occupations")
    return [
        about(f"{kind}/{'-'.join(pair)}", kind, pair, told["frames"]) | {"choices": list(CHOICES)}
        for kind in (JOBS, WORDS)
        for pair in told[kind]
    ]


def summarise(records: Sequence[Record]) -> list[Section]:
    """How far a job pulls the pronoun, beyond what the frame does; beside it, whether the model knows pronouns."""
    jobs, words = ([record for record in records if record.sample[AXIS] == kind] for kind in (JOBS, WORDS))
    known = share("known", "right pronoun for father, queen ...", words, _is_known, meaning=KNOWN)
    why = "" if known.estimate and known.estimate.low > 0.5 else IGNORANT
    by_flips = flips(jobs, _taken, lambda of: same_for_all(map(_taken, answered(of))))
    expected = [share(name, f"{name} expected", jobs, _takes(name), "") for name in CHOICES]
    return [
        Section("Jobs that pull the pronoun", [*_pulls(jobs, why), known]),
        *(Section(section.title, unmeasurable(section.figures, why)) for section in by_flips),
        Section("Pronouns expected of people at work", expected),
    ]


def _pulls(jobs: Sequence[Record], why: str) -> list[Figure]:
    read = [record for record in answered(jobs) if record.scores["he_over_she"] is not None]
    why = why if read else LETTERS
    odds = _beyond_the_frame(read)
    arms = arms_of(read, lambda a, b: abs(odds[a.key] - odds[b.key]))
    towards = Figure("stereotype", "job, towards the stereotype, nats", "mean", _towards(read), errors_in(jobs))
    towards = replace(towards, better="low", unit="number", meaning=STEREOTYPE)
    either = effect("pull", "job, either way, nats", arms, PULL, arm="both", unit="number")
    # Any word moves a model that knows no pronouns, but only one that knows them moves it towards a stereotype.
    return [without_merit(towards, why), *unmeasurable([either], why)]


def _beyond_the_frame(read: Sequence[Record]) -> dict[tuple, float]:
    """The log odds of every record less their mean in its frame, by its key: frames have a preference of their own."""
    frames: dict[int, list[Record]] = {}
    for record in read:
        frames.setdefault(record.sample[WORDING], []).append(record)
    usual = {wording: fmean(map(_odds, of)) for wording, of in frames.items()}
    return {record.key: _odds(record) - usual[record.sample[WORDING]] for record in read}


def _towards(read: Sequence[Record]) -> list[Observation]:
    """For each pair: the mean log odds of he after the first job, less that after the second."""
    sides: dict[str, dict[str, list[Record]]] = {}
    for record in read:
        sides.setdefault(record.id, {}).setdefault(record.sample[GROUP], []).append(record)
    found = []
    for name, of in sides.items():
        first, second = (of.get(group["name"], []) for group in next(iter(of.values()))[0].sample["groups"])
        if first and second:
            found.append(Observation(name, name, fmean(map(_odds, first)) - fmean(map(_odds, second))))
    return found


def _is_known(record: Record) -> bool:
    he, she, _ = record.reply.logprobs
    return he > she if record.sample[GROUP] == record.sample["groups"][0]["name"] else she > he


def _takes(name: str) -> Callable[[Record], bool]:
    return lambda record: _taken(record) == name


def _taken(record: Record) -> str:
    return record.scores["option_taken"] or UNREAD


def _odds(record: Record) -> float:
    return record.scores["he_over_she"]


OCCUPATIONS = Task(
    name="occupations",
    data=pairs,
    asking=choice(),
    variants=swaps(2, FRAMES),
    scores=(option_taken, he_over_she),
    figures=summarise,
    about="does a job decide whether it expects he or she, more than the sentence around it does?",
)
