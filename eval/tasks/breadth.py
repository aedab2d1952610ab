"""Knowledge, reading and sums from local copies of public sets: without examples, and after a few of them."""

import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eval.data import Inputs, Missing, public_path, public_rows
from eval.figures import Figure, Section, errors_in, mean, means, observed
from eval.meaning import Meaning
from eval.rated import msrp_pairs
from eval.records import Record
from eval.requests import Choose, Request, chat
from eval.scores.numbers import right_number
from eval.scores.options import right_option
from eval.scores.score import Sample
from eval.task import ORIGINAL, Task, Variant, sampled
from eval.tasks.language import options
from prompts.library import probe

EXAMPLES = "examples"
"""The variant that puts the sample's examples before it."""
SEED = 0
LETTERS, NO_YES = (" A", " B", " C", " D"), (" no", " yes")
SUMS = ("svamp", "addsub", "multiarith", "singleeq", "gsm8k_test")
COMMONEST = Meaning(
    formula="share of the questions asked whose right option is the one that is right most often",
    source="majority baseline",
    caveat="no model is asked: what accuracy has to be compared with; it knows the right options",
    better="",
)
GAIN = Meaning(
    formula="mean over questions of being right after the examples less being right without",
    source="in-context learning (Brown et al. 2020, arXiv:2005.14165), paired by question",
    caveat="one choice of examples in one order: others would help more or less",
    low=-1.0,
)
_PAIR = re.compile(r'<pair id="(\d+)"[^>]*? (?:entailment|value)="(\w+)".*?<t>(.*?)</t>\s*<h>(.*?)</h>', re.DOTALL)


@dataclass(frozen=True)
class Labelled:
    """A set of questions with one right option each.

    `rows` and `examples` give samples with the "label", its place among `labels`, and what the wording
    `prompts/probes/labels/<name>.md` has in braces; an example is any row that may be shown with its answer.
    """

    name: str
    title: str
    about: str
    labels: Sequence[str]
    rows: Callable[[], Iterable[Sample]]
    examples: Callable[[], Iterable[Sample]]
    shots: int = 4
    topic: str = ""
    """A field: examples are those that have the same value in it."""

    def samples(self, inputs: Inputs) -> list[Sample]:
        """Every row with its "examples" written out, of every label as many as can be."""
        topics: dict[str, list[Sample]] = {}
        for row in self.examples():
            topics.setdefault(row.get(self.topic, ""), []).append(row)
        shown = {topic: self._written(self._chosen(rows)) for topic, rows in topics.items()}
        return [row | {"answer": row["label"], "examples": shown[row.get(self.topic, "")]} for row in self.rows()]

    def _chosen(self, rows: Sequence[Sample]) -> list[Sample]:
        """`shots` of the rows, their labels in turn, in random order."""
        by_label = [sampled([row for row in rows if row["label"] == label], self.shots) for label in self._places]
        in_turn = [own[turn] for turn in range(self.shots) for own in by_label if turn < len(own)][: self.shots]
        return random.Random(SEED).sample(in_turn, len(in_turn))

    @property
    def _places(self) -> range:
        return range(len(self.labels))

    def _written(self, rows: Sequence[Sample]) -> str:
        return "".join(f"{self._asked(row)}{self.labels[row['label']]}\n\n" for row in rows)

    def _asked(self, sample: Sample) -> str:
        return probe(f"labels/{self.name}").format(**sample)

    def ask(self, sample: Sample, plain: bool) -> Request:
        return Choose(sample.get("shown", "") + self._asked(sample), tuple(self.labels))

    @property
    def task(self) -> Task:
        return Task(
            name=self.name,
            data=self.samples,
            asking=self.ask,
            variants=(Variant(EXAMPLES, lambda sample, rng: sample | {"shown": sample["examples"]}),),
            scores=(right_option,),
            cluster="cluster",
            figures=self.figures,
            size=300,
            about=self.about,
        )

    def figures(self, records: Sequence[Record]) -> list[Section]:
        """Accuracy without and with examples, what they help, and what needs no model."""
        without, after = ([r for r in records if r.variant == variant] for variant in (ORIGINAL, EXAMPLES))
        return [
            Section(
                self.title,
                [
                    mean("acc", "accuracy", without, right_option),
                    mean("acc_examples", f"accuracy after {self.shots} examples", after, right_option),
                    _gain(without, after),
                    _commonest(without),
                ],
            )
        ]


def _gain(without: Sequence[Record], after: Sequence[Record]) -> Figure:
    before = {record.id: record for record in without if record.status == "ok"}
    pairs = [(before[record.id], record) for record in after if record.status == "ok" and record.id in before]
    gained = [observed(b, bool(b.scores["right_option"]) - bool(a.scores["right_option"])) for a, b in pairs]
    return Figure("gain", "  gained by the examples", "mean", gained, errors_in([*without, *after]), meaning=GAIN)


def _commonest(records: Sequence[Record]) -> Figure:
    labels = Counter(record.sample["label"] for record in records)
    ((commonest, _),) = labels.most_common(1) or [(None, 0)]
    hits = [observed(record, record.sample["label"] == commonest) for record in records]
    return Figure("commonest", "  always the commonest option", "share", hits, better="", meaning=COMMONEST)


def mmlu(file: str) -> list[Sample]:
    rows = public_rows(f"mmlu/{file}")
    return [row | {"label": row["answer"], "id": f"{row['subject']}/{row['id']}"} for row in rows]


def boolq(split: str) -> list[Sample]:
    return [
        row | {"label": int(row["answer"])}
        for row in public_rows(f"multiple_choice_qa/boolq_closed_book_{split}.jsonl.gz")
    ]


def polarity() -> list[Sample]:
    """Sentences of film reviews (Pang and Lee 2005), negative ones first."""
    found = []
    for label, kind in enumerate(("neg", "pos")):
        lines = _zipped("nltk_corpora/sentence_polarity.zip", f"sentence_polarity/rt-polarity.{kind}").splitlines()
        found += [{"id": f"{kind}/{number}", "text": line.strip(), "label": label} for number, line in enumerate(lines)]
    return found


def entailment(split: str, challenge: int = 3) -> list[Sample]:
    """One of the first three PASCAL challenges (Dagan et al. 2006); the hypotheses of one text depend on each other."""
    pairs = _PAIR.findall(_zipped("nltk_corpora/rte.zip", f"rte/rte{challenge}_{split}.xml"))
    return [
        {
            "id": number,
            "text": text.strip(),
            "hypothesis": h.strip(),
            "label": int(answer in ("YES", "TRUE")),
            "cluster": text,
        }
        for number, answer, text, h in pairs
    ]


def paraphrases(split: str) -> list[Sample]:
    """News sentences of the Microsoft Research corpus."""
    return [
        {"id": str(number), "first": first, "second": second, "label": int(same)}
        for number, (first, second, same) in enumerate(msrp_pairs(split), 1)
    ]


def sentences_of_winogrande(inputs: Inputs) -> list[Sample]:
    """Each sentence twice, one candidate in its gap each time."""
    rows = public_rows("multiple_choice_qa/winogrande_test.jsonl.gz")
    return [row | {"filled": [row["question"].replace("_", choice) for choice in row["choices"]]} for row in rows]


def sums(inputs: Inputs) -> list[Sample]:
    """Of each set as many, by its name in "set"."""
    found = []
    for name in SUMS:
        rows = public_rows(f"math_word_problems/{name}.jsonl.gz")
        found += [row | {"id": f"{name}/{row['id']}", "set": name} for row in sampled(rows, 60)]
    return found


def _zipped(archive: str, name: str) -> str:
    path = public_path(archive)
    try:
        with zipfile.ZipFile(path) as opened:
            return opened.read(name).decode("latin-1")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise Missing(f"{path} cannot be read ({error})") from None


KEPT = 100
"""So many sentences of either kind are there to be shown as examples, and not asked about."""
SETS = (
    Labelled(
        "mmlu",
        "MMLU",
        "what is known of 57 subjects of school and university?",
        LETTERS,
        lambda: mmlu("test.jsonl.xz"),
        lambda: mmlu("dev.jsonl.gz"),
        shots=5,
        topic="subject",
    ),
    Labelled(
        "boolq",
        "BoolQ, closed book",
        "does it know the answers to people's questions for yes or no?",
        NO_YES,
        lambda: boolq("test"),
        lambda: boolq("train"),
    ),
    Labelled(
        "polarity",
        "Polarity of film reviews",
        "can it tell praise from blame?",
        NO_YES,
        lambda: [row for row in polarity() if int(row["id"].split("/")[1]) >= KEPT],
        lambda: [row for row in polarity() if int(row["id"].split("/")[1]) < KEPT],
    ),
    Labelled(
        "entailment",
        "Recognising textual entailment (RTE-3)",
        "can it tell what follows from a text?",
        NO_YES,
        lambda: entailment("test"),
        lambda: entailment("dev"),
    ),
    Labelled(
        "paraphrase",
        "Paraphrases in the news (MSRP)",
        "can it tell whether two sentences say the same?",
        NO_YES,
        lambda: paraphrases("test"),
        lambda: paraphrases("train"),
    ),
)
SOCIAL_IQA = options(
    "social_iqa",
    "Social IQa",
    lambda inputs: public_rows("multiple_choice_qa/social_iqa_test.jsonl.gz"),
    "what people want, feel and do next",
)
WINOGRANDE = Task(
    name="winogrande",
    data=sentences_of_winogrande,
    asking=lambda sample, plain: Choose("", tuple(f" {sentence}" for sentence in sample["filled"])),
    scores=(right_option,),
    figures=lambda records: [Section("WinoGrande", [mean("acc", "accuracy", records, right_option)])],
    size=300,
    about="who is meant, where the words alone do not say it? (the likelier whole sentence)",
)
NUMBERS = Task(
    name="sums",
    data=sums,
    asking=lambda sample, plain: chat(probe("sums"), max_tokens=200, tools=False)(sample, plain),
    scores=(right_number,),
    figures=means((right_number,), by="set"),
    about="can it do sums that are put in words? (SVAMP, AddSub, MultiArith, SingleEq, GSM8K)",
)
