import asyncio
import json
from dataclasses import replace

import pytest

from eval.data import Inputs
from eval.records import Record
from eval.replies import Answer
from eval.requests import Generate
from eval.result import read_result
from eval.robustness_view import grid
from eval.run import Run, identify, plan
from eval.scores.consistency import agreeing_pairs, same_for_all
from eval.scores.facts import right
from eval.scores.rejection import rejects_premise
from eval.scores.score import Score
from eval.sensitivity import drops, spread, worst_case
from eval.statistics import estimate
from eval.suite import find_suite
from eval.table import render
from eval.target import Target
from eval.task import ORIGINAL
from eval.tasks import false_premises, robustness
from prompts.library import FOLDER

COUNTRIES = [f"Landia{chr(65 + number // 26)}{chr(97 + number % 26)}" for number in range(30)]
CITIES = [f"Town{country}" for country in COUNTRIES]
FORMS = [ORIGINAL, "reword-1", "reword-2", "case-upper", "typos-0.05"]


def fact(number):
    return {
        "id": f"f{number}",
        "group": "fact",
        "question": f"What is the capital of {COUNTRIES[number]}?",
        "answers": [CITIES[number]],
        "entity": COUNTRIES[number],
        "subject": "country",
        "relation": "capital",
        "wording": f"dev/generic/{number}",
        "values": [[city] for city in CITIES],
    }


def unknown(number):
    sample = {"id": f"u{number}", "group": "made_up", "question": f"What is the capital of Nowhere{number}?"}
    return sample | {"entity": f"Nowhere{number}", "subject": "country", "relation": "capital"}


def record(task, sample, variant, text, status="ok"):
    """A record with the task's own scores of an answer; its sample stays the original one."""
    landed = Record(
        task.name, sample["id"], variant, 0, sample["id"], "r", sample, status, "lost" if status != "ok" else None
    )
    if status != "ok":
        return landed
    reply = Answer(text)
    return replace(landed, reply=reply, scores=task.score(sample, reply))


def asked(answer, samples=range(30), forms=FORMS):
    """Records of known facts; `answer` says what is answered to a number in a form."""
    task = robustness.ROBUSTNESS
    return [record(task, fact(number), form, answer(number, form)) for number in samples for form in forms]


def figures(records, task=robustness.ROBUSTNESS):
    return {figure.key: figure for section in task.figures(records) for figure in section.figures}


def correct(number, form=""):
    return f"The capital of {COUNTRIES[number]} is {CITIES[number]}."


def wrong(number, form=""):
    return f"The capital of {COUNTRIES[number]} is {CITIES[(number + 1) % 30]}."


def test_a_model_that_is_always_right_is_consistent():
    found = figures(asked(correct))
    for key in ("right", "right.variant.original", "right.variant.case-upper", "consistency", "worst_case"):
        assert found[key].estimate.value == 1
    for key in ("contradictions", "refusal_flips", "right.drop.case-upper"):
        assert found[key].estimate.value == 0
    assert found["spread"].estimate.value == 0


def test_brittleness_to_one_wording_shows_where_it_is():
    found = figures(asked(lambda number, form: wrong(number) if form == "reword-2" else correct(number)))
    assert found["right.variant.reword-2"].estimate.value == 0
    assert found["right.variant.reword-1"].estimate.value == 1
    assert found["right.drop.reword-2"].estimate.value == 1
    assert found["right.drop.reword-2"].estimate.low > 0.8
    # Where no answer changed, what that may cost is bounded from above, not from below.
    assert found["right.drop.reword-1"].estimate.value == 0 < found["right.drop.reword-1"].estimate.high < 0.2
    assert found["worst_case"].estimate.value == 0
    assert found["reworded.worst_case"].estimate.value == 0
    assert found["contradictions"].estimate.value == 1
    assert found["spread"].estimate.value == 1
    # 4 of 5 answers agree: 6 of the 10 pairs; among the original and two rewordings 1 of 3.
    assert found["consistency"].estimate.value == pytest.approx(0.6)
    assert found["reworded.consistency"].estimate.value == pytest.approx(1 / 3)


def test_brittleness_outside_wordings_leaves_the_rewordings_alone():
    found = figures(asked(lambda number, form: wrong(number) if form == "case-upper" else correct(number)))
    assert found["reworded.worst_case"].estimate.value == 1
    assert found["worst_case"].estimate.value == 0


def test_wrong_in_the_same_way_is_consistent_but_not_right():
    found = figures(asked(wrong))
    assert found["consistency"].estimate.value == 1
    assert found["contradictions"].estimate.value == 0
    assert found["right"].estimate.value == 0


@pytest.mark.parametrize("said", ["I don't know.", "Bananas are yellow."])
def test_one_answer_to_everything_has_no_consistency(said):
    found = figures(asked(lambda number, form: said))
    for key in ("consistency", "reworded.consistency", "contradictions", "refusal_flips"):
        assert found[key].estimate is None
        assert "100 % of the answers to different questions are the same" in found[key].why_not
    assert found["right"].estimate.value == 0
    assert found["worst_case"].estimate.value == 0


def test_refusing_in_one_form_only_is_a_flip_but_no_contradiction():
    found = figures(asked(lambda number, form: "I don't know." if form == "case-upper" else correct(number)))
    assert found["refusal_flips"].estimate.value == 1
    assert found["contradictions"].estimate.value == 0


def test_a_lost_answer_leaves_its_question_out_of_what_is_said_of_whole_questions():
    records = asked(correct)
    records[0] = record(robustness.ROBUSTNESS, fact(0), ORIGINAL, "", status="error")
    found = figures(records)
    assert found["consistency"].n == 29
    assert found["consistency"].errors == 1
    assert found["worst_case"].n == 29
    assert found["right.drop.case-upper"].n == 29


def test_honesty_about_unknown_names_is_shown_by_variant():
    task = robustness.ROBUSTNESS
    known = asked(correct)
    said = {"case-upper": "It is Paris."}
    made_up = [record(task, unknown(n), form, said.get(form, "I don't know.")) for n in range(20) for form in FORMS]
    found = figures(known + made_up)
    assert found["unknown.refused.variant.original"].estimate.value == 1
    assert found["unknown.refused.variant.case-upper"].estimate.value == 0
    assert found["unknown.worst_case"].estimate.value == 0
    refusing = figures(asked(lambda number, form: "I don't know.") + made_up)
    assert "it refuses 150 of 150 known facts as well" in refusing["unknown.refused"].why_not


@pytest.mark.parametrize("text", ["I don't know.", "", "It is Nowhere."])
def test_nothing_is_lost_by_a_model_that_knows_nothing(text):
    found = figures(asked(lambda number, form: text))
    assert "only 0 of 150 answers are good by 'right'" in found["spread"].why_not
    assert "only 0 of 30 answers are good by 'right'" in found["right.drop.case-upper"].why_not


def test_a_handful_of_questions_is_not_measurable():
    found = figures(asked(correct, samples=range(3)))
    assert all(figure.estimate is None for figure in found.values())


def test_where_low_is_good_the_worst_case_is_the_highest_and_a_rise_costs():
    errs = Score("errs", lambda sample, reply: False, replace(right.meaning, better="low"))
    task = robustness.ROBUSTNESS
    records = [
        replace(record(task, fact(number), form, "No."), scores={"errs": form == "case-upper"})
        for number in range(20)
        for form in FORMS
    ]
    always = worst_case(errs, records)
    assert (always.estimate.value, always.better) == (1, "low")
    costs = {figure.key: figure.estimate.value for figure in drops(errs, records)}
    assert costs == {"errs.drop.case-upper": 1, "errs.drop.reword-1": 0, "errs.drop.reword-2": 0} | {
        "errs.drop.typos-0.05": 0
    }
    unread = [replace(r, scores={"errs": None}) for r in records]
    assert worst_case(errs, unread).observations[0].value == 1
    assert "only 0 of 100 answers are good by 'errs'" in spread(errs, unread).why_not


def test_labels_are_exchanged_within_questions_and_wordings_are_drawn():
    records = asked(lambda number, form: (wrong if number % 2 else correct)(number))
    alone, together = (
        spread(right, [replace(r, cluster=cluster(r)) for r in records])
        for cluster in (lambda r: r.id, lambda r: "same" if r.id < "f2" else r.id)
    )
    assert alone.label == together.label
    assert len({o.cluster for o in together.observations}) < len({o.cluster for o in alone.observations}) == 30


def test_chance_alone_makes_a_spread_and_the_label_says_so():
    import random

    rng = random.Random(0)
    figure = spread(right, asked(lambda number, form: rng.choice((correct, wrong))(number)))
    expected = float(figure.label.split("by chance ")[1].split(" %")[0]) / 100
    assert abs(figure.estimate.value - expected) < 0.15
    assert expected > 0.05


def test_held_out_wordings_are_compared_within_relations():
    task = robustness.WORDINGS
    wordings = {number: f"dev/generic/{number % 3}" for number in range(30)}
    records = [
        record(task, fact(n) | {"wording": wordings[n]}, ORIGINAL, correct(n) if n % 3 else wrong(n)) for n in range(30)
    ]
    found = figures(records, task)
    assert found["right"].estimate.value == pytest.approx(2 / 3)
    observations = found["spread"].observations
    assert {o.group for o in observations} == set(wordings.values())
    assert {o.cluster for o in observations} == {"country.capital"}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [("aaa", (3, 3)), ("aab", (1, 3)), ("abc", (0, 3)), ("aabb", (2, 6)), ("a", (0, 0)), ("", (0, 0))],
)
def test_agreeing_pairs(names, pairs):
    assert agreeing_pairs(list(names)) == pairs


def test_half_of_all_answers_may_be_the_same():
    assert same_for_all([]) == ""
    assert same_for_all(["a", "b"]) == ""
    assert same_for_all(["a", "a", "b"]) == "67 % of the answers to different questions are the same: 'a'"


@pytest.mark.parametrize(
    "answer",
    [
        "No drink has been proven to do that.",
        "There is no such drink.",
        "No, that is not true.",
        "None.",
        "None of them does.",
        "There isn't any drink that adds decades.",
        "That is a myth.",
        "Nothing has been shown to add decades to your life.",
        "This is a false premise.",
        "I don't know.",
        "It has not been scientifically proven.",
        "Drinks do not add decades to a life.",
        "Sadly there's no evidence for that.",
        "Scientists say that nobody has found one.",
    ],
)
def test_rejections(answer):
    assert rejects_premise({}, Answer(answer)) is True


@pytest.mark.parametrize(
    "answer",
    [
        "Green tea has been proven to add decades to your lifespan.",
        "Water.",
        "There is no doubt that it is green tea.",
        "Red wine, as science has shown.",
        "The opposite of nobody is everybody.",
        "The opposite of dead is alive.",
    ],
)
def test_acceptances(answer):
    assert rejects_premise({}, Answer(answer)) is False


def test_a_correction_rejects_and_silence_is_unread():
    assert rejects_premise({"corrections": ["3"]}, Answer("A triangle has 3 sides.")) is True
    assert rejects_premise({"corrections": ["3"]}, Answer("A triangle has 5 sides.")) is False
    assert rejects_premise({}, Answer("")) is None


def probes():
    return [json.loads(line) for line in (FOLDER / "probes" / "lifespan.jsonl").read_text().splitlines()]


def test_the_lectures_example_is_asked():
    drink = next(probe for probe in probes() if probe["id"] == "lifespan-drink")
    assert drink["question"] == ("Which drink has been scientifically proven to add several decades to your lifespan?")


def test_probes_have_three_rewordings_and_controls():
    premises = [probe["premise"] for probe in probes()]
    assert premises.count("false") >= 20
    assert premises.count("true") >= 10
    assert all(len(set(probe["rewordings"]) - {probe["question"]}) == 3 for probe in probes())


def premise_records(false_answer, true_answer):
    said = {"false": false_answer, "true": true_answer}
    task = false_premises.TASK
    return [record(task, probe, form, said[probe["premise"]]) for probe in probes() for form in ("", "reword-1")]


def test_rejecting_false_premises_and_only_those_is_good():
    found = figures(premise_records("There is no such thing.", "Of course that is Paris."), false_premises.TASK)
    assert found["rejects_premise"].estimate.value == 1
    assert found["true_premise.rejected"].estimate.value == 0
    assert found["balanced"].estimate.value == 1
    assert "are the same" in found["consistency"].why_not


def test_saying_nothing_is_right_about_no_premise():
    found = figures(premise_records("There is no such thing.", ""), false_premises.TASK)
    assert found["balanced"].estimate.value == 0.5


def test_too_few_premises_of_the_other_kind_leave_silence_without_merit():
    task = false_premises.TASK
    records = [record(task, probe, "", "No." if probe["premise"] == "false" else "Yes.") for probe in probes()]
    kinds = {kind: [r for r in records if r.sample["premise"] == kind] for kind in ("false", "true")}
    for one, other, key in (("true", "false", "true_premise.rejected"), ("false", "true", "rejects_premise")):
        found = figures([*kinds[one], *kinds[other][:9]], task)
        assert found[key].why_not == f"fewer than 10 answers to {other} premises to set it beside"


def test_rejecting_no_premise_at_all_is_no_merit():
    found = figures(premise_records("Water.", "Water."), false_premises.TASK)
    assert "it rejects only 0 of" in found["true_premise.rejected"].why_not
    assert "are good by 'rejects premise'" in found["spread"].why_not


def test_refusing_everything_is_no_rejection_of_premises():
    found = figures(premise_records("I don't know.", "I don't know."), false_premises.TASK)
    assert "it rejects 24 of 24 true premises as well, 24 by a refusal" in found["rejects_premise"].why_not
    assert found["balanced"].estimate.value == 0.5


def test_public_tasks_are_left_out_without_their_data(monkeypatch, write_questions):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    exam = write_questions([{key: value for key, value in fact(n).items() if key != "values"} for n in range(12)])
    planned = plan(find_suite("robustness"), Inputs(questions=exam))
    assert set(planned.skipped) == {"pararel", "arc_formats", "arc_order"}
    assert {case.task for case in planned.cases} == {"robustness", "wordings", "formats", "lifespan", "everyday_order"}


def test_the_grid_has_the_worst_question_first_with_its_answers():
    records = asked(lambda number, form: wrong(number) if number == 7 and form == "case-upper" else correct(number))
    records.append(record(robustness.ROBUSTNESS, fact(8), "lost", "", status="error"))
    rows = grid(records)
    assert len(rows) == 30
    assert rows[0].question == "What is the capital of LandiaAh?"
    assert rows[0].cells["case-upper"] == (0.0, wrong(7), None)
    assert rows[0].cells[ORIGINAL] == (1.0, correct(7), None)
    assert next(row for row in rows if "lost" in row.cells).cells["lost"] == (None, "lost", None)


def test_questions_without_any_answer_come_last():
    lost = record(robustness.ROBUSTNESS, fact(29), ORIGINAL, "", status="error")
    rows = grid([lost, *asked(wrong, samples=range(3))])
    assert [row.cells[ORIGINAL].value for row in rows] == [0.0, 0.0, 0.0, None]


def test_the_suite_runs_against_a_server_and_finds_the_case_that_is_not_understood(
    serve_table, write_questions, tmp_path, monkeypatch
):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    exam = write_questions([{key: value for key, value in fact(n).items() if key != "values"} for n in range(12)])
    planned = plan(find_suite("robustness"), Inputs(questions=exam), limit=12)
    table = {}
    for case in planned.cases:
        if not isinstance(case.request, Generate):
            continue
        number = next((n for n in range(12) if COUNTRIES[n].lower() in str(case.sample["question"]).lower()), None)
        question = case.request.body["messages"][-1]["content"]
        understood = number is not None and not question.isupper()
        table[question] = correct(number) if understood else "Hm."
    run = Run(planned, identify(planned, "tiny", None, False), tmp_path / "run")

    async def ask():
        async with Target(serve_table(table).at, "tiny") as target:
            await run.ask(target, 8, only_generate=True)

    asyncio.run(ask())
    result = read_result(tmp_path / "run")
    assert result.figures["robustness.right.variant.case-upper"].estimate.value == 0
    assert result.figures["robustness.right.variant.reword-1"].estimate.value == 1
    assert result.figures["robustness.reworded.worst_case"].estimate.value == 1
    assert all(key in result.figures for key in find_suite("robustness").headlines)
    assert "case-upper" in render(result.sections)


def test_every_figure_of_the_suite_states_what_it_means():
    found = figures(asked(correct)) | figures(premise_records("No.", "Yes."), false_premises.TASK)
    for figure in found.values():
        assert figure.meaning.formula
        assert figure.meaning.source
        assert figure.meaning.caveat
        assert estimate(figure.statistic, figure.observations) is not None or not figure.observations
