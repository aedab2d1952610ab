"""Language as such: texts to predict, pairs of sentences to tell apart, questions with options and without."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from eval.data import Inputs, Missing, project_file, public_rows, rows
from eval.figures import Figure, Section, answered, errors_in, mean, observed, share
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Choose, chat, choice, document
from eval.scores import likelihood as scores
from eval.scores.almanac import fact_outcome
from eval.scores.options import right_option
from eval.scores.score import Sample
from eval.statistics import Statistic
from eval.task import Task

LM_EVAL_BLANK = " "
"""lm-eval 0.4.13 puts it before every option, even where nothing stands before: published figures of BLiMP have it."""
SCHOOL = "Question: {question}\nAnswer:"
NO_LIKELIHOODS = "the endpoint gives no log-probabilities"
_NEEDS_OPTIONS = re.compile(r"\b(?:these|those|following|which one|which of|except|not)\b", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[^;(),]{3,40}")


@dataclass(frozen=True)
class Rate:
    """Negative log-likelihoods set against the size of the texts: a ratio of sums, not a mean of documents."""

    key: str
    label: str
    size: Callable[[Record], float]
    meaning: Meaning
    statistic: Statistic = "ratio"
    nats: float = 1.0
    """In one unit of the rate."""


def _tokens(record: Record) -> int:
    return sum(record.reply.tokens)


def _bytes(record: Record) -> int:
    return scores.utf8_bytes(record.sample["text"])


def _characters(record: Record) -> int:
    return len(record.sample["text"])


def _words(record: Record) -> int:
    return scores.word_count(record.sample["text"])


RATES = (
    Rate("bits_per_byte", "bits per byte", _bytes, scores.bits_per_byte.meaning, nats=math.log(2)),
    Rate("bits_per_character", "bits per character", _characters, scores.bits_per_character.meaning, nats=math.log(2)),
    Rate("cross_entropy", "cross-entropy per token, nats", _tokens, scores.cross_entropy.meaning),
    Rate("perplexity", "perplexity per token", _tokens, scores.PERPLEXITY, "perplexity"),
    Rate("byte_perplexity", "perplexity per byte", _bytes, scores.BYTE_PERPLEXITY, "perplexity"),
    Rate("word_perplexity", "perplexity per word", _words, scores.WORD_PERPLEXITY, "perplexity"),
)


def prediction(name: str, title: str, data: Callable[[Inputs], Iterable[Sample]], about: str, size: int) -> Task:
    """The task of predicting the "text" of each sample; a "cluster" is what texts have in common, if anything."""
    return Task(
        name=name,
        data=data,
        asking=document(),
        scores=(scores.bits_per_byte, scores.bits_per_character, scores.cross_entropy),
        cluster="cluster",
        figures=lambda records: [Section(title, [_rate(rate, records) for rate in RATES])],
        size=size,
        about=about,
    )


def minimal_pairs(
    name: str, title: str, data: Callable[[Inputs], Iterable[Sample]], about: str, size: int, before: str = ""
) -> Task:
    """The task of telling the "good" sentence of a sample from the "bad" one; each belongs to a "field".

    A "uid" names the template of a pair, if it has one. `before` is scored with each sentence, as a part of it.
    """
    return Task(
        name=name,
        data=data,
        asking=lambda sample, plain: Choose("", (before + sample["good"], before + sample["bad"])),
        scores=(scores.prefers_good,),
        cluster="uid",
        figures=lambda records: [Section(f"{title}, {_scoring(records)}", _by_field(records))],
        size=size,
        about=about,
    )


def options(
    name: str,
    title: str,
    data: Callable[[Inputs], Iterable[Sample]],
    about: str,
    context: str = SCHOOL,
    size: int = 300,
) -> Task:
    """The task of choosing among the "choices" of a sample; "answer" is the index of the right one."""

    def figures(records: Sequence[Record]) -> list[Section]:
        by_length = mean("acc_norm", "per character", records, scores.right_option_by_length)
        if _has_letters(records):
            by_length = replace(by_length, unmeasurable=NO_LIKELIHOODS)
        return [Section(f"{title}, {_scoring(records)}", [mean("acc", "accuracy", records, right_option), by_length])]

    return Task(
        name=name,
        data=data,
        asking=choice(context),
        scores=(right_option, scores.right_option_by_length),
        figures=figures,
        size=size,
        about=about,
    )


def closed_book(name: str, title: str, data: Callable[[Inputs], Iterable[Sample]], about: str, size: int) -> Task:
    """The task of answering "question" from memory, with one of "answers"."""

    def figures(records: Sequence[Record]) -> list[Section]:
        outcomes = (("right", "high"), ("refused", ""), ("wrong", "low"))
        return [Section(title, [_outcome(outcome, records, better) for outcome, better in outcomes])]

    return Task(
        name=name,
        data=data,
        asking=chat(max_tokens=48, tools=False),
        scores=(fact_outcome,),
        figures=figures,
        size=size,
        about=about,
    )


def local_copy(name: str) -> Callable[[Inputs], list[Sample]]:
    """The test questions of a public set with options. They raise `Missing` where there is no local copy."""
    return lambda inputs: public_rows(f"multiple_choice_qa/{name}_test.jsonl.gz")


def exam_texts(inputs: Inputs) -> list[Sample]:
    """The exam's questions of fact, each followed by its right answer, as plain text."""
    if not inputs.exam().exists():
        raise Missing(f"there are no questions at {inputs.exam()}: name a file with --questions")
    return [
        {
            "id": str(row["id"]),
            "text": f"{row['question']} {row['answers'][0]}",
            "cluster": f"{row.get('subject')}.{row.get('relation')}",
        }
        for row in rows(inputs.exam())
        if row.get("group") == "fact" and row.get("answers")
    ]


def trivia(inputs: Inputs) -> list[Sample]:
    """OpenTriviaQA without the questions that cannot be answered unless the options are seen."""
    return [
        row | {"answers": [row["answer"]], "wrong": [option for option in row["choices"] if option != row["answer"]]}
        for row in public_rows("opentriviaqa/questions.jsonl.xz")
        if row["question"].endswith("?") and not _NEEDS_OPTIONS.search(row["question"])
    ]


def capitals(inputs: Inputs) -> list[Sample]:
    """The countries of the World Factbook whose capital is one plain name."""
    places = public_rows("world_factbook/countries.jsonl.xz")
    named = [(place, place["facts"].get("Government - Capital - name", "")) for place in places]
    return [
        {
            "id": place["id"],
            "question": f"What is the capital of {place['country']}?",
            "answers": [capital],
            "entity": place["country"],
        }
        for place, capital in named
        if _PLAIN_NAME.fullmatch(capital)
    ]


def _rate(rate: Rate, records: Sequence[Record]) -> Figure:
    observations = [
        observed(record, -sum(record.reply.logprobs) / rate.nats, rate.size(record)) for record in answered(records)
    ]
    return Figure(
        rate.key,
        rate.label,
        rate.statistic,
        observations,
        errors_in(records),
        better="low",
        unit="number",
        meaning=rate.meaning,
    )


def _by_field(records: Sequence[Record]) -> list[Figure]:
    fields: dict[str, list[Record]] = {}
    for record in records:
        # BLiMP writes one of its fields in two ways.
        fields.setdefault(record.sample["field"].replace("_", "/"), []).append(record)
    parts = [
        mean(f"acc.{name.replace(' ', '_')}", f"  {name}", of, scores.prefers_good)
        for name, of in sorted(fields.items())
    ]
    return [mean("acc", "good preferred", records, scores.prefers_good), *parts]


def _outcome(outcome: str, records: Sequence[Record], better: str) -> Figure:
    return share(outcome, outcome, records, lambda r: r.scores["fact_outcome"] == outcome, better, fact_outcome.meaning)


def _scoring(records: Sequence[Record]) -> str:
    """How the figures of these records were scored, which a reader must know before comparing them."""
    return "by letters" if _has_letters(records) else "by likelihood"


def _has_letters(records: Sequence[Record]) -> bool:
    return any(record.reply.scoring == "letters" for record in answered(records))


PROSE = prediction(
    "prose",
    "Plain English prose",
    project_file("probes/documents.jsonl"),
    "how well does it predict short everyday texts of our own?",
    size=40,
)
FACTS = prediction(
    "facts",
    "The exam's facts as text",
    exam_texts,
    "how well does it predict the facts that it is asked for?",
    size=500,
)
STORIES = prediction(
    "stories",
    "TinyStories",
    lambda inputs: public_rows("tinystories/valid.jsonl.gz"),
    "how well does it predict very simple stories?",
    size=100,
)
WIKIPEDIA = prediction(
    "wikipedia",
    "Wikipedia",
    lambda inputs: public_rows("wikipedia_leads/leads.jsonl.xz"),
    "how well does it predict the openings of encyclopedia articles?",
    size=100,
)
PAIRS = minimal_pairs(
    "pairs",
    "Minimal pairs",
    project_file("probes/minimal_pairs.jsonl"),
    "does it prefer the sentence that is good English?",
    size=60,
)
BLIMP = minimal_pairs(
    "blimp",
    "BLiMP",
    lambda inputs: [row | {"id": f"{row['uid']}/{row['id']}"} for row in public_rows("blimp/blimp_200_each.jsonl.gz")],
    "does it know the grammar of English?",
    size=1000,
    before=LM_EVAL_BLANK,
)
EVERYDAY = options(
    "everyday",
    "Everyday things",
    project_file("probes/everyday.jsonl"),
    "does it choose what everybody knows, among four things?",
)
PUBLIC_CHOICES = (
    options("arc_easy", "ARC easy", local_copy("arc_easy"), "easy science of schools"),
    options("arc_challenge", "ARC challenge", local_copy("arc_challenge"), "harder science of schools"),
    options("openbookqa", "OpenBookQA", local_copy("openbookqa"), "elementary science, applied", "{question}"),
    options("piqa", "PIQA", local_copy("piqa"), "how everyday things are done"),
)
TRIVIA = closed_book("trivia", "OpenTriviaQA, closed book", trivia, "how much trivia does it know by heart?", size=300)
CAPITALS = closed_book(
    "capitals", "Capitals of the World Factbook", capitals, "does it know the capitals of the world?", size=200
)
TASKS = (PROSE, FACTS, PAIRS, EVERYDAY, STORIES, WIKIPEDIA, BLIMP, *PUBLIC_CHOICES, TRIVIA, CAPITALS)
