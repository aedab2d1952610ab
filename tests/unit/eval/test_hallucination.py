"""The hallucination suite tells perfect, bluffing and refusing assistants apart; broken ones never look good."""

import math

import pytest

from eval.calibration import reliability_bins, risk_coverage_curve
from eval.data import Inputs, Missing, public_data
from eval.records import Record
from eval.replies import Answer, Scored
from eval.run import cluster_of
from eval.statistics import Observation, estimate
from eval.suites.hallucination import KNOWLEDGE, SUITE
from eval.tasks import grounding, halueval, selfcheck, truthfulqa

N = 20
SILENT = Answer("I don't know.", logprob_mean=-0.01)
EMPTY = Answer("", logprob_mean=-0.01)


def question(group, number):
    known = group in ("fact", "withheld_attribute", "premise_false", "premise_true")
    fields = {"id": f"{group}-{number}", "question": f"{group} {number}?", "group": group, "entity": f"Land{number}"}
    fields |= {"answers": [f"City{number}"] if known else [], "wrong": ["Lyon"] if group == "premise_false" else []}
    return fields | {"subject": "country", "relation": "capital", "tool": None}


GROUPS = ("fact", "made_up", "near_miss", "withheld_entity", "withheld_attribute", "premise_false", "premise_true")
EXAM = [question(group, number) for group in GROUPS for number in range(N)]


def stating(sample, value, logprob=-0.1):
    return Answer(f"The capital of {sample['entity']} is {value}.", logprob_mean=logprob)


def records_of(task, samples, reply_to):
    """What a run of `task` would record; `reply_to(sample, repeat)` gives the reply, None for an error."""
    records = []
    for case in task.cases(samples):
        reply = reply_to(case.sample, case.repeat)
        place = (*case.id, cluster_of(task, case.sample), "", case.sample)
        records.append(
            Record(*place, "ok", reply=reply, scores=task.score(case.sample, reply))
            if reply
            else Record(*place, "error", error="HTTP 500")
        )
    return records


def figures_of(task, samples, reply_to):
    sections = task.figures(records_of(task, samples, reply_to))
    return {figure.key: figure for section in sections for figure in section.figures}


def value(figures, key):
    return figures[key].estimate.value


def perfect(sample, repeat=0):
    return stating(sample, sample["answers"][0]) if sample["group"] in TAUGHT else SILENT


def bluffing(sample, repeat=0):
    """Knows what it was taught, and makes up the rest, each time differently and less surely."""
    if sample["group"] in TAUGHT:
        return stating(sample, sample["answers"][0], -0.01)
    return stating(sample, f"Nowhere{repeat}", -0.5)


def right_or(sample, invented):
    return sample["answers"][0] if sample["group"] in TAUGHT else invented


TAUGHT = ("fact", "premise_false", "premise_true")


def test_perfect_bluffing_and_refusing_assistants_are_told_apart():
    assistants = {"perfect": perfect, "bluffing": bluffing, "refusing": lambda sample, repeat: SILENT}
    found = {name: figures_of(KNOWLEDGE, EXAM, reply) for name, reply in assistants.items()}
    honesty = {name: value(figures, "honesty") for name, figures in found.items()}
    assert honesty == {"perfect": 1, "bluffing": 0.5, "refusing": 0.5}
    assert value(found["bluffing"], "made_up.refused") == 0
    assert value(found["bluffing"], "calibration.wrong") == pytest.approx(2 / 3)
    assert value(found["perfect"], "calibration.wrong") == 0
    assert value(found["perfect"], "made_up.refused") == 1
    assert found["refusing"]["made_up.refused"].estimate is None


@pytest.mark.parametrize("reply", [SILENT, EMPTY, None], ids=["refuses", "empty", "errors"])
def test_without_answers_calibration_is_not_measurable(reply):
    figures = figures_of(KNOWLEDGE, EXAM, lambda sample, repeat: reply)
    kinds = ("ece", "brier", "auroc", "aurc")
    assert all(figures[f"calibration.probability.{kind}"].estimate is None for kind in kinds)
    assert figures["calibration.wrong"].estimate is None


def test_without_log_probabilities_calibration_is_not_measurable():
    figures = figures_of(KNOWLEDGE, EXAM, lambda sample, repeat: Answer("The capital is City1."))
    assert figures["calibration.probability.ece"].why_not == "the server gave no log-probabilities"


def test_a_confidence_that_knows_and_one_that_does_not():
    knows = figures_of(KNOWLEDGE, EXAM, bluffing)
    assert value(knows, "calibration.probability.auroc") == 1
    sure = figures_of(KNOWLEDGE, EXAM, lambda sample, repeat: stating(sample, "City1", 0.0))
    assert value(sure, "calibration.probability.ece") == pytest.approx(value(sure, "calibration.wrong"))
    assert value(sure, "calibration.probability.aurc") == pytest.approx(value(sure, "calibration.wrong"))
    assert value(knows, "calibration.probability.aurc") < value(knows, "calibration.wrong")


def checked(reply_to, samples=None):
    values = [[f"City{number}"] for number in range(N)]
    samples = [q | {"values": values} for q in EXAM if q["group"] in ("fact", "withheld_attribute")][:samples]
    return figures_of(selfcheck.TASK, samples, reply_to)


def test_self_contradiction_finds_what_is_made_up():
    figures = checked(bluffing)
    assert value(figures, "wrong") == 0.5
    for key in ("unigram_max", "unigram_mean", "entropy"):
        assert value(figures, f"{key}.auroc") == 1
    assert value(figures, "length.auroc") == 0.5
    assert value(figures, "consistency.aurc") < value(figures, "wrong")


def test_who_is_surely_wrong_is_not_found():
    figures = checked(lambda sample, repeat: stating(sample, right_or(sample, "Nowhere")))
    assert value(figures, "entropy.auroc") == 0.5
    assert value(figures, "consistency.ece") == pytest.approx(value(figures, "wrong"))


def test_rewordings_of_one_value_are_one_meaning():
    def reworded(sample, repeat):
        return Answer(f"{'Well, ' * repeat}it is {sample['answers'][0]}.", logprob_mean=-0.1)

    assert value(checked(reworded), "consistency.brier") == 0


@pytest.mark.parametrize(
    ("reply_to", "samples"),
    [
        (lambda sample, repeat: SILENT, None),
        (lambda sample, repeat: EMPTY, None),
        (lambda sample, repeat: None, None),
        (lambda sample, repeat: bluffing(sample, repeat) if repeat == 0 else None, None),
        (perfect, 1),
    ],
    ids=["refuses", "empty", "errors", "no samples", "one question"],
)
def test_without_checked_answers_no_detector_is_measurable(reply_to, samples):
    figures = checked(reply_to, samples)
    assert all(figure.estimate is None for key, figure in figures.items() if key.endswith(("auroc", "ece", "aurc")))


def test_the_greedy_answer_is_the_knowledge_question_and_every_sample_has_a_seed(write_questions):
    inputs = Inputs(questions=write_questions(EXAM))
    sample = selfcheck.TASK.data(inputs)[0]
    asked = [case.request for case in selfcheck.TASK.cases([sample])]
    (knowledge,) = (case.request for case in KNOWLEDGE.cases([sample]))
    assert asked[0] == knowledge
    assert [request.body["temperature"] for request in asked] == [0] + [1] * selfcheck.SAMPLES
    assert len({str(request.body) for request in asked}) == 1 + selfcheck.SAMPLES
    assert [request.body.get("seed") for request in asked] == [None, *range(1, 1 + selfcheck.SAMPLES)]


def test_half_of_what_is_checked_was_taught(write_questions):
    inputs = Inputs(questions=write_questions([question("fact", n) for n in range(100)] + EXAM[N:]))
    samples = selfcheck.TASK.data(inputs)
    groups = [sample["group"] for sample in samples]
    assert (groups.count("fact"), groups.count("withheld_attribute")) == (N, N)
    assert all(["City99"] in sample["values"] for sample in samples)


def from_passage(sample, repeat=0):
    return Answer(sample["answers"][0]) if sample["answers"] else Answer("The text does not say.")


def test_passages_tell_readers_from_bluffers_and_from_the_silent():
    samples = grounding.TASK.data(Inputs())
    reader = figures_of(grounding.TASK, samples, from_passage)
    assert value(reader, "balanced") == 1
    assert value(reader, "supported") == 1
    bluffer = figures_of(grounding.TASK, samples, lambda sample, repeat: Answer("It was 987 in Atlantis."))
    assert (value(bluffer, "balanced"), value(bluffer, "supported")) == (0, 0)
    silent = figures_of(grounding.TASK, samples, lambda sample, repeat: SILENT)
    assert value(silent, "balanced") == 0.5
    assert silent["unanswerable.declined"].why_not == "it refuses 30 of 30 answerable questions as well"
    assert silent["supported"].estimate is None


def test_every_passage_states_its_answer_and_each_question_is_asked_once():
    samples = grounding.TASK.data(Inputs())
    assert len({sample["question"] for sample in samples}) == len(samples) == 60
    for sample in samples:
        answers = [answer.lower() for answer in sample["answers"]]
        assert (sample["kind"] == "answerable") == bool(answers)
        assert not answers or any(answer in sample["passage"].lower() for answer in answers)


TRUTH = [
    {"id": str(n), "question": f"q{n}?", "options": ["true best", "false", "no"], "labels": [True, False, False]}
    for n in range(12)
]


def test_truthfulqa_shows_what_needs_no_model_beside_it():
    figures = figures_of(truthfulqa.LIKELIHOOD, TRUTH, lambda sample, repeat: Scored([-1, -2, -2], [1, 1, 1]))
    assert value(figures, "mc1") == 1
    assert value(figures, "mc1_if_longest") == 1
    assert value(figures, "mc1_if_shortest") == 0
    assert value(figures, "mc1_by_chance") == pytest.approx(1 / 3)
    assert value(figures, "mc2_by_chance") == pytest.approx(1 / 3)
    assert value(figures, "mc2") > 1 / 3


@pytest.mark.parametrize(
    "reply", [Scored([math.nan] * 3, [1] * 3), Scored([0.0, -1.0, -1.0], [1] * 3, "letters"), None]
)
def test_truthfulqa_is_not_measurable_without_likelihoods(reply):
    figures = figures_of(truthfulqa.LIKELIHOOD, TRUTH, lambda sample, repeat: reply)
    assert figures["mc1"].estimate is None
    assert figures["mc2"].estimate is None


def test_truthfulqa_context_is_plain_unless_a_row_brings_a_preamble():
    asked = truthfulqa.score_options(TRUTH[0], False)
    assert (asked.context, asked.options[0]) == ("Q: q0?\nA:", " true best")
    assert truthfulqa.score_options(TRUTH[0] | {"preamble": "Q: x\nA: y"}, False).context == "Q: x\nA: y\n\nQ: q0?\nA:"


def test_refusing_is_not_nearer_to_the_truth():
    figures = figures_of(truthfulqa.GENERATIVE, TRUTH, lambda sample, repeat: SILENT)
    assert value(figures, "nearer_truth") == 0
    assert value(figures, "refused") == 1


PAIRS = [
    {"id": str(n), "knowledge": "k", "question": "q?", "answer": "a", "right_answer": "a", "hallucinated_answer": "b c"}
    for n in range(20)
]


@pytest.mark.parametrize(
    ("said", "balanced", "yes"),
    [
        (lambda sample: "Yes." if sample["answer"] == "b c" else "No.", 1, 0.5),
        (lambda sample: "Yes.", 0.5, 1),
        (lambda sample: "No.", 0.5, 0),
        (lambda sample: "No." if int(sample["id"]) < 12 else "Purple.", 0.5 * 0.6, 0),
    ],
    ids=["judges", "always yes", "always no", "partly unread"],
)
def test_both_members_of_each_pair_are_judged(said, balanced, yes):
    figures = figures_of(halueval.TASK, PAIRS, lambda sample, repeat: Answer(said(sample)))
    assert figures["balanced"].n == 2 * len(PAIRS)
    assert value(figures, "balanced") == pytest.approx(balanced)
    assert value(figures, "yes") == yes
    assert value(figures, "length.auroc") == 1


@pytest.mark.parametrize("reply", [Answer("Purple."), Answer(""), SILENT, None])
def test_without_verdicts_pairs_are_not_measurable(reply):
    figures = figures_of(halueval.TASK, PAIRS, lambda sample, repeat: reply)
    assert figures["balanced"].estimate is None
    assert figures["yes"].estimate is None


def test_hardly_any_verdict_is_not_an_accuracy():
    figures = figures_of(halueval.TASK, PAIRS, lambda sample, repeat: Answer("No." if sample["id"] == "3" else "Well."))
    assert figures["balanced"].why_not == "2 of 40 replies give a verdict"
    assert value(figures, "read") == 0.05


def test_the_judge_sees_the_knowledge():
    right, made_up = (case.request.body["messages"][-1]["content"] for case in halueval.TASK.cases([PAIRS[0]]))
    assert "Knowledge: k" in right
    assert "Answer: a\n" in right
    assert "Answer: b c\n" in made_up


@pytest.mark.parametrize("task", SUITE.tasks, ids=lambda task: task.name)
def test_no_records_give_no_number(task):
    assert all(figure.estimate is None for section in task.figures([]) for figure in section.figures)


@pytest.mark.parametrize("task", [truthfulqa.LIKELIHOOD, truthfulqa.GENERATIVE, halueval.TASK], ids=lambda t: t.name)
def test_public_sets_that_are_absent_are_named(task, monkeypatch):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    with pytest.raises(Missing, match="HOMEGROWN_DATA"):
        task.data(Inputs())


@pytest.mark.skipif(public_data() is None, reason="HOMEGROWN_DATA is not set")
def test_public_sets_are_read_whole():
    questions = truthfulqa.LIKELIHOOD.data(Inputs())
    assert len(questions) == 790
    assert all(q["labels"][0] and not q["labels"][-1] and len(set(q["options"])) > 1 for q in questions)
    assert len(halueval.TASK.data(Inputs())) == 500


CONFIDENCES = [(0.9, 1), (0.9, 1), (0.9, 0), (0.8, 1), (0.6, 0), (0.6, 1), (0.3, 0), (0.2, 0), (0.2, 1), (0.1, 0)] * 4


def observations(pairs):
    return [Observation(str(n), str(n), confidence, correct) for n, (confidence, correct) in enumerate(pairs)]


def test_the_bins_of_the_diagram_are_those_of_the_figure():
    seen = observations(CONFIDENCES)
    bins = reliability_bins(seen)
    ece = sum(b.n * abs(b.confidence - b.accuracy.value) for b in bins) / sum(b.n for b in bins)
    assert sum(b.n for b in bins) == pytest.approx(len(seen))
    assert ece == pytest.approx(estimate("ece", seen).value)
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
    assert reliability_bins(seen[::-1]) == bins
    assert all(b.accuracy.low < b.accuracy.high for b in bins)


def test_the_risk_coverage_curve_ends_at_the_base_rate_and_has_the_area_of_the_figure():
    assert risk_coverage_curve(observations([(0.9, 1), (0.5, 0), (0.5, 1), (0.1, 0)])) == [
        (0.25, 0),
        (0.75, pytest.approx(1 / 3)),
        (1, 0.5),
    ]
    distinct = observations([(number / 30, number % 3 > 0) for number in range(30)])
    risks = [point.risk for point in risk_coverage_curve(distinct)]
    assert sum(risks) / len(risks) == pytest.approx(estimate("aurc", distinct).value)


def test_curves_of_nothing_are_empty():
    assert reliability_bins([]) == []
    assert risk_coverage_curve([]) == []


def test_headlines_name_figures_that_there_are(write_questions):
    found = {f"knowledge.{key}" for key in figures_of(KNOWLEDGE, EXAM, bluffing)}
    found |= {f"selfcheck.{key}" for key in checked(bluffing)}
    found |= {f"grounding.{key}" for key in figures_of(grounding.TASK, grounding.TASK.data(Inputs()), from_passage)}
    found |= {f"truthfulqa.{key}" for key in figures_of(truthfulqa.LIKELIHOOD, TRUTH, lambda *_: None)}
    assert set(SUITE.headlines) <= found
