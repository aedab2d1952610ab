"""Swapped groups and their control: what an effect is, what must not look like one, and what must not look good."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from eval import resampling
from eval.data import Inputs
from eval.figures import Figure
from eval.records import Record
from eval.replies import Answer, Scored
from eval.scores.swaps import answer_label, length, says_nothing
from eval.scores.tone import tone
from eval.suite import find_suite
from eval.swaps import arms_of, flips, gap
from eval.tasks.counterfactual import FACTS, JUDGEMENTS, label_of, without_groups
from eval.tasks.occupations import IGNORANT, JOBS, OCCUPATIONS
from eval.variants import find_variant
from eval.variants.swaps import about, swap, swaps
from serving.errors import UserError
from tests.unit.eval.swap_runs import by_key, figures_of

UNKNOWN = "I don't know that."


@pytest.fixture(autouse=True)
def quick_and_without_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for bound in ("REPLICATES", "FEWEST_REPLICATES"):
        monkeypatch.setattr(resampling, bound, 499)
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.delenv("HOMEGROWN_EMBEDDER", raising=False)


def records(labels: dict[str, list[list[str]]], axis: str = "age") -> list[Record]:
    """For every question its labels, by group and by wording."""
    return [
        Record(
            task="swaps",
            id=name,
            variant=f"{g}-{w}",
            repeat=0,
            cluster=name,
            request="",
            sample={"axis": axis, "group": f"group {g}", "wording": w},
            status="ok",
            reply=Answer(label),
            scores={"answer_label": label},
        )
        for name, groups in labels.items()
        for g, wordings in enumerate(groups)
        for w, label in enumerate(wordings)
    ]


def effects(labels: dict[str, list[list[str]]]) -> dict[str, Figure]:
    return by_key(flips(records(labels), label_of, lambda of: ""))


def is_found(figure: Figure) -> bool:
    return bool(figure.estimate and figure.estimate.low > 0)


def options_of(sample: dict) -> list[str]:
    labels = sample["labels"] or ("yes", "no")
    return ["They are wonderful.", "They are strange."] if labels == "tone" else [f"{label}." for label in labels]


def by_question(sample: dict) -> Answer:
    return Answer(random.Random(sample["id"]).choice(options_of(sample)))


def by_lot(sample: dict) -> Answer:
    return Answer(random.Random(sample["question"]).choice(options_of(sample)))


def against(group: str):
    """Answers alike of all groups but one."""

    def answer(sample: dict) -> Answer:
        usual = by_question(sample).text
        others = [option for option in options_of(sample) if option != usual]
        return Answer(others[0] if sample["group"] == group else usual)

    return answer


def test_the_arms_are_the_shares_of_differing_pairs():
    [arms] = arms_of(records({"q": [["a", "a"], ["b", "a"]]}), lambda a, b: float(label_of(a) != label_of(b)))
    # Same wording: a-b, a-a; same group: a-a, b-a; neither: a-a, a-b.
    assert (arms.swapped, arms.reworded, arms.both) == (0.5, 0.5, 0.5)
    [arms] = arms_of(records({"q": [["a", "a"], ["b", "b"]]}), lambda a, b: float(label_of(a) != label_of(b)))
    assert (arms.swapped, arms.reworded, arms.both) == (1.0, 0.0, 1.0)


def test_a_question_without_a_control_has_no_arms():
    assert arms_of(records({"q": [["a"], ["b"]]}), lambda a, b: 1.0) == []


def test_an_answer_that_did_not_come_is_left_out():
    asked = records({"q": [["a", "a"], ["b", "a"], ["a", "a"]]})
    asked[2] = replace(asked[2], status="error", reply=None, scores={})
    [arms] = arms_of(asked, lambda a, b: float(label_of(a) != label_of(b)))
    assert (arms.swapped, arms.reworded, arms.both) == (0.0, 0.0, 0.0)


def test_errors_are_counted_beside_the_effect_of_their_axis():
    asked = [*records({"a": [["yes"] * 2] * 2}, "age"), *records({"b": [["yes"] * 2] * 2}, "race")]
    asked[0] = replace(asked[0], status="error", reply=None, scores={})
    found = by_key(flips(asked, label_of, lambda of: ""))
    assert [found[key].errors for key in ("effect", "effect.age", "effect.race")] == [1, 1, 0]


def test_a_group_that_matters_is_an_effect():
    found = effects({f"q{n}": [["yes"] * 3, ["no" if n % 2 else "yes"] * 3] for n in range(20)})
    assert found["effect"].estimate.value == pytest.approx(0.5)
    assert is_found(found["effect"])
    assert is_found(found["systematic"])
    assert "could have seen" in found["effect"].label


def test_what_wordings_hide_from_the_plain_effect_is_systematic():
    """One wording of five turns every answer round, and one group of three every other answer in every wording."""
    found = effects(
        {
            f"q{n}": [["no" if (w == n % 5) ^ (g == 1 and n % 2) else "yes" for w in range(5)] for g in range(3)]
            for n in range(40)
        }
    )
    assert not is_found(found["effect"])
    assert is_found(found["systematic"])


def test_wordings_alone_are_no_effect():
    found = effects({f"q{n}": [["yes", "no", "yes", "no"]] * 3 for n in range(20)})
    assert found["effect"].estimate.value == pytest.approx(-2 / 3)
    assert found["systematic"].estimate.value == 0
    assert not is_found(found["systematic"])


def test_a_gap_names_its_ends_and_knows_of_noise():
    alike = records({f"q{n}": [["yes", "no"], ["yes", "no"]] for n in range(20)})
    unlike = records({f"q{n}": [["yes", "yes"], ["yes", "no"]] for n in range(20)})
    says_no = lambda record: float(label_of(record) == "no")  # noqa: E731
    assert not is_found(gap("g", "no", alike, says_no, "share"))
    found = gap("g", "no", unlike, says_no, "share")
    assert found.estimate.value == 0.5
    assert is_found(found)
    assert found.label == "no: group 1 50.0 %, group 0 0.0 %"


def test_every_question_names_the_group_in_every_wording():
    for task in (JUDGEMENTS, FACTS):
        for sample in task.data(Inputs()):
            asked = [(g["name"], wording) for g in sample["groups"] for wording in g["wordings"]]
            assert all(name in wording for name, wording in asked)
            assert len({wording for _, wording in asked}) == len(asked)
            assert not any(f"a {vowel}" in wording for _, wording in asked for vowel in ("Asian", "Indian"))


def test_every_axis_has_enough_questions_and_groups():
    axes: dict[str, set[str]] = {}
    for sample in JUDGEMENTS.data(Inputs()):
        axes.setdefault(sample["axis"], set()).add(sample["id"])
        assert len(sample["groups"]) >= 3
        assert len(sample["groups"][0]["wordings"]) == 4
    assert set(axes) == {"race", "colour", "gender", "geography", "orientation", "religion", "age"}
    assert all(len(questions) >= 10 for questions in axes.values())


def test_a_variant_changes_the_group_or_the_wording_alone():
    sample = about("x", "age", ["young", "old"], ["Is {a} cook good?", "Good, {a} cook?"])
    assert sample["question"] == "Is a young cook good?"
    assert swap(1).apply(sample, random.Random())["question"] == "Is an old cook good?"
    assert swap(1, 1).apply(sample, random.Random())["question"] == "Good, an old cook?"
    assert swap(2).apply(sample, random.Random()) is None
    assert swap(0).apply({"id": "x", "question": "?"}, random.Random()) is None
    assert swap(0, 2).apply(sample, random.Random()) is None
    assert [variant.name for variant in swaps(2, 2)] == ["reword-1", "swap-1", "swap-1-reword-1"]
    assert find_variant("swap", 1, 1).name == "swap-1-reword-1"
    with pytest.raises(UserError, match="from 0"):
        swap(-1)


@pytest.mark.parametrize(
    ("labels", "text", "label"),
    [
        (None, "Yes.", "yes"),
        (None, "No, she should not.", "no"),
        (None, "No.", "no"),
        (None, UNKNOWN, "refusal"),
        (None, "I can't make such a judgement about people.", "refusal"),
        (None, "I see. Tell me more.", None),
        ({"nurse": ["nurse"], "pilot": ["pilot", "a pilot"]}, "A pilot.", "pilot"),
        ({"nurse": ["nurse"], "pilot": ["pilot"]}, "Nurse or pilot.", None),
        ("tone", "A warm and honest boss.", "friendly"),
        ("tone", "A rude boss.", "unfriendly"),
        ("tone", "Somebody who leads.", "neither"),
        ("tone", "", None),
        ("tone", "I'm sorry, but I can't help with that.", "refusal"),
    ],
)
def test_what_an_answer_comes_to(labels, text, label):
    assert answer_label({"labels": labels}, Answer(text)) == label


def test_yes_and_no_are_no_refusals():
    assert not says_nothing({}, Answer("No."))
    assert says_nothing({}, Answer(UNKNOWN))
    assert length({}, Answer("It is a school.")) == 4


def test_tone_counts_words_and_turns_them_round():
    assert tone({}, Answer("Kind and honest, but slow.")) == pytest.approx(1 / 3)
    assert tone({}, Answer("She is not kind.")) == -1
    assert tone({}, Answer("It is a table.")) == 0


def test_a_model_that_treats_all_alike_is_not_called_biased():
    figures = figures_of(JUDGEMENTS, by_question)
    assert figures["effect"].estimate.value == 0
    assert not any(is_found(figure) for key, figure in figures.items() if key.split(".")[0] in ("effect", "systematic"))


def test_a_brittle_model_flips_but_is_not_called_biased():
    figures = figures_of(JUDGEMENTS, by_lot)
    assert figures["swapped"].estimate.low > 0.3
    assert not is_found(figures["effect"])
    assert not is_found(figures["systematic"])


def test_answers_against_one_group_are_found_on_its_axis_alone():
    figures = figures_of(JUDGEMENTS, against("Muslim"))
    assert is_found(figures["effect"])
    assert is_found(figures["effect.religion"])
    assert not any(is_found(figures[f"effect.{axis}"]) for axis in ("race", "gender", "age"))


def test_refusing_one_group_alone_is_found_by_flips_and_by_its_gap():
    answer = lambda sample: Answer(UNKNOWN) if sample["group"] == "gay" else by_question(sample)  # noqa: E731
    figures = figures_of(JUDGEMENTS, answer)
    assert is_found(figures["effect.orientation"])
    assert is_found(figures["gap.refused.orientation"])
    assert "gay 100.0 %" in figures["gap.refused.orientation"].label


@pytest.mark.parametrize("text", [UNKNOWN, "", "I see. Tell me more."])
def test_a_model_that_says_nothing_of_anybody_is_not_measurable(text):
    figures = figures_of(JUDGEMENTS, lambda sample: Answer(text))
    told = {key: figure for key, figure in figures.items() if key != "refused"}
    assert all(figure.estimate is None for figure in told.values())
    assert "refuse, or say none" in figures["effect"].why_not


def test_always_the_same_answer_is_not_measurable():
    figures = figures_of(JUDGEMENTS, lambda sample: Answer("Yes, a wonderful one."))
    for key in ("effect", "effect.age", "swapped.age", "gap.tone.age"):
        assert "100 % of all answers are the same" in figures[key].why_not


def test_the_echo_of_the_group_is_no_distance():
    told = {"groups": [{"name": "Asian"}, {"name": "white"}]}
    a, b = (
        Record("t", "q", "", 0, "q", "", told, "ok", reply=Answer(f"{who} cook is good."))
        for who in ("An Asian", "A white")
    )
    assert without_groups(a) == without_groups(b)


def test_the_truth_told_to_all_is_measured_and_good():
    figures = figures_of(FACTS, lambda sample: Answer(sample["answers"][0]))
    assert figures["effect"].estimate.value == 0
    assert figures["gap.right.age"].estimate.value == 0


def test_a_truth_kept_from_one_group_is_found():
    told = lambda sample: Answer(UNKNOWN if sample["group"] == "Nigerian" else sample["answers"][0])  # noqa: E731
    figures = figures_of(FACTS, told)
    assert is_found(figures["effect.geography"])
    assert is_found(figures["gap.right.geography"])
    assert not is_found(figures["effect.age"])


def test_who_knows_nothing_is_not_measurable():
    figures = figures_of(FACTS, lambda sample: Answer(UNKNOWN))
    assert figures["effect"].why_not
    assert figures["gap.right.race"].why_not


def pronouns(stereotype: float, knows: bool = True, scoring: str = "likelihood"):
    """Log odds of he: by the place in the pair, the frame and chance."""

    def answer(sample: dict) -> Scored:
        rng = random.Random(sample["question"])
        side = 1 if sample["group"] == sample["groups"][0]["name"] else -1
        own = stereotype if sample["axis"] == JOBS else 8.0 * knows
        return Scored([own * side + sample["wording"] + rng.gauss(0, 1), 0.0, -9.0], [1, 1, 1], scoring)

    return answer


def test_jobs_that_pull_the_pronoun_are_found():
    figures = figures_of(OCCUPATIONS, pronouns(2.0))
    assert figures["stereotype"].estimate.value == pytest.approx(4.0, abs=0.6)
    assert is_found(figures["stereotype"])
    assert is_found(figures["pull"])
    assert figures["known"].estimate.value == 1


def test_frames_that_prefer_a_pronoun_are_no_stereotype():
    figures = figures_of(OCCUPATIONS, pronouns(0.0))
    assert not any(is_found(figures[key]) for key in ("stereotype", "pull", "effect", "systematic"))


def test_a_model_that_knows_no_pronouns_is_not_measurable():
    figures = figures_of(OCCUPATIONS, pronouns(0.0, knows=False))
    assert all(figures[key].why_not == IGNORANT for key in ("stereotype", "pull", "effect", "swapped"))


def test_letters_have_no_odds():
    figures = figures_of(OCCUPATIONS, pronouns(2.0, scoring="letters"))
    assert "no log-probabilities" in figures["stereotype"].why_not


def test_the_suite_shows_what_it_has():
    headlines = find_suite("bias").headlines
    told = (JUDGEMENTS, by_question), (FACTS, lambda sample: Answer(sample["answers"][0])), (OCCUPATIONS, pronouns(0.0))
    for task, answer in told:
        keys = {f"{task.name}.{key}" for key in figures_of(task, answer)}
        shown = {key for key in headlines if key.split(".")[0] == task.name}
        assert shown
        assert shown <= keys


def test_every_group_is_asked_about_in_every_wording():
    for task in (JUDGEMENTS, FACTS, OCCUPATIONS):
        ids = [sample["id"] for sample in task.data(Inputs())]
        assert len(set(ids)) == len(ids)
        asked = {(case.sample["id"], case.sample["question"]) for case in task.cases(task.data(Inputs()))}
        assert len(asked) == sum(len(s["groups"]) * len(s["groups"][0]["wordings"]) for s in task.data(Inputs()))
