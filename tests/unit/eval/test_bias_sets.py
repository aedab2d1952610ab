"""The public sets about bias: what is planted is found, and what says nothing is not measurable."""

import json
import random
from dataclasses import replace

import pytest

from eval.data import Inputs, Missing
from eval.replies import Answer, Scored
from eval.scores import stereotypes
from eval.suite import find_suite
from eval.suites.bias import PUBLIC_SETS
from eval.tasks import bbq, bold, crows_pairs, readable, stereoset
from serving.errors import UserError
from tests.unit.eval.bias_runs import figures_of, taking, value


def test_always_the_stereotype_is_one_hundred_per_cent(bias_sets):
    further = iter([2.0, 3.0] * 12)
    figures = figures_of(crows_pairs.TASK, lambda sample: Scored([-10.0, -10.0 - next(further), -30.0], [5, 5, 5]))
    assert value(figures, "stereotype") == value(figures, "per_token") == value(figures, "type.age") == 1
    assert value(figures, "difference") == 2.5
    assert figures["if_shorter"].unparsed == 24


def test_per_token_and_shorter_tell_length_from_liking(bias_sets):
    """The stereotyping sentence has fewer tokens, which alone makes it likelier."""
    figures = figures_of(crows_pairs.TASK, lambda sample: Scored([-10.0, -18.0, -30.0], [5, 10, 5]))
    assert value(figures, "stereotype") == value(figures, "if_shorter") == 1
    assert value(figures, "per_token") == 0


def test_a_model_that_does_not_read_pairs_measures_nothing(bias_sets):
    rng = random.Random(0)
    figures = figures_of(crows_pairs.TASK, lambda sample: Scored([rng.uniform(-20, -10) for _ in range(3)], [5] * 3))
    assert figures["stereotype"].why_not == figures["type.gender"].why_not == readable.UNREAD
    assert 0.2 < value(figures, "reads") < 0.8


def test_words_outside_the_vocabulary_are_ties_and_no_absence_of_stereotypes(bias_sets):
    figures = figures_of(crows_pairs.TASK, lambda sample: Scored([-10.0, -10.0, -30.0], [5] * 3))
    assert figures["stereotype"].why_not
    assert figures["stereotype"].unparsed == 24


def test_pairs_need_likelihoods(bias_sets):
    figures = figures_of(crows_pairs.TASK, lambda sample: Scored([0.0, -1.0, -1.0], [0] * 3, "letters"))
    assert {figure.why_not for figure in figures.values()} == {readable.NO_LIKELIHOODS}


def test_a_control_has_the_words_of_its_sentence_between_the_same_ends(bias_sets):
    for sample in crows_pairs.pairs(Inputs()):
        more, _, control = sample["sentences"]
        assert sorted(more.split()) == sorted(control.split())
        assert (more.split()[0], more.split()[-1]) == (control.split()[0], control.split()[-1])
        assert more != control
        assert crows_pairs.reordered(more) == control


def test_stereoset_scores_are_means_over_terms(bias_sets):
    def leaning(sample):
        pro = sample["type"] == "age"
        return Scored([-10.0, -20.0, -60.0] if pro else [-20.0, -10.0, -60.0], [5, 5, 5])

    figures = figures_of(stereoset.TASK, leaning)
    assert value(figures, "quality") == 1
    assert value(figures, "stereotype") == 0.5
    assert value(figures, "icat") == value(figures, "intersentence.icat") == 1
    assert replace(figures["stereotype.age"], smallest_n=2).estimate.value == 1


def test_always_the_stereotype_gives_an_icat_of_zero(bias_sets):
    figures = figures_of(stereoset.TASK, lambda sample: Scored([-10.0, -20.0, -60.0], [5, 5, 5]))
    assert value(figures, "stereotype") == 1
    assert value(figures, "icat") == 0


def test_likelihoods_of_stereoset_are_per_token(bias_sets):
    reply = Scored([-10.0, -12.0, -13.0], [5, 8, 10])
    assert stereotypes.prefers_pro({}, reply) is False
    assert stereotypes.prefers_related({}, reply) == 0
    assert stereotypes.prefers_pro({}, Scored([-10.0, -10.0, -30.0], [5, 5, 5])) is False


def test_who_prefers_nonsense_is_not_measurable(bias_sets):
    figures = figures_of(stereoset.TASK, lambda sample: Scored([-60.0, -20.0, -10.0], [5, 5, 5]))
    assert figures["stereotype"].why_not == figures["icat"].why_not == readable.UNREAD


def test_entries_without_all_three_sentences_are_left_out(bias_sets):
    assert len(stereoset.contexts(Inputs())) == 24


def test_a_next_sentence_is_scored_after_its_context(bias_sets):
    within, after = (next(s for s in stereoset.contexts(Inputs()) if s["kind"] == kind) for kind in stereoset.KINDS)
    assert stereoset.score_options(within, plain=True).context == ""
    assert stereoset.score_options(after, plain=True).context == "A man came in."


def test_bold_finds_that_one_group_is_spoken_ill_of(bias_sets):
    rng = random.Random(0)

    def spoken(sample):
        kind = "He was a kind and wonderful man." if rng.random() < 0.9 else "He was born in 1900."
        return Answer(kind if sample["group"] == "Group A" else "He was a terrible and lazy man.")

    figures = figures_of(bold.TASK, spoken)
    gap = figures["gap.tone.gender"].estimate
    assert gap.low > 1.5
    assert gap.value == pytest.approx(value(figures, "tone.gender.Group_A") + 1)
    assert value(figures, "tone.gender.Group_B") == -1
    assert value(figures, "gap.refused.race") == 0


def test_bold_finds_that_one_group_is_refused(bias_sets):
    figures = figures_of(
        bold.TASK,
        lambda sample: Answer("I can't help with that." if sample["group"] == "Group A" else "He was a great man."),
    )
    assert value(figures, "gap.refused.gender") == 1


def test_refusing_everybody_is_no_fairness(bias_sets):
    figures = figures_of(bold.TASK, lambda sample: Answer("I'm sorry, I can't help with that."))
    assert {figures[f"gap.{name}.race"].why_not for name in bold.SCORES} == {bold.REFUSES_ALL}


def test_a_text_without_tone_has_no_gap_in_tone(bias_sets):
    more = iter([" in 1900.", " in May 1900."] * len(bold.beginnings(Inputs())))
    figures = figures_of(bold.TASK, lambda sample: Answer(f"He was born{next(more)}"))
    assert figures["gap.tone.race"].why_not == bold.TONELESS
    assert value(figures, "words") == 5.5


def test_beginnings_are_of_as_many_people_as_there_are(bias_sets):
    samples = bold.beginnings(Inputs())
    groups = {(sample["domain"], sample["group"]) for sample in samples}
    assert len(samples) == bold.PER_GROUP * len(groups)
    assert len({(s["domain"], s["about"]) for s in samples}) == len(samples)
    assert samples == bold.beginnings(Inputs())


@pytest.mark.parametrize("task", PUBLIC_SETS, ids=lambda task: task.name)
def test_without_local_copies_a_set_is_missing(task, monkeypatch):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    with pytest.raises(Missing, match="HOMEGROWN_DATA"):
        task.data(Inputs())


def test_a_broken_file_is_named(bias_sets):
    (bias_sets / "stereoset" / "dev.json").write_text('{"data": ')
    with pytest.raises(UserError, match=r"dev\.json"):
        stereoset.contexts(Inputs())


@pytest.mark.parametrize("task", PUBLIC_SETS, ids=lambda task: task.name)
def test_nothing_answered_is_nothing_measured(bias_sets, task):
    figures = figures_of(task, lambda sample: None)
    assert figures
    assert all(figure.estimate is None and figure.why_not for figure in figures.values())


@pytest.mark.parametrize("task", PUBLIC_SETS, ids=lambda task: task.name)
def test_samples_are_json_with_their_own_ids(bias_sets, task):
    samples = list(task.data(Inputs()))
    assert json.loads(json.dumps(samples)) == samples
    assert len({sample["id"] for sample in samples}) == len(samples)


def test_every_headline_of_the_suite_is_a_figure(bias_sets):
    suite = find_suite("bias")
    names = {task.name for task in suite.tasks}
    assert {headline.split(".")[0] for headline in suite.headlines} <= names
    found = figures_of(bbq.LIKELIHOOD, lambda sample: taking(0, 12))
    assert {key.removeprefix("bbq.") for key in suite.headlines if key.startswith("bbq.")} <= found.keys()
