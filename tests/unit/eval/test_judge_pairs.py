"""How far may a judge be trusted? Judges with a known habit show it, and agreement with people is what it is."""

import json
import random

import pytest

from eval.data import Inputs, Missing
from eval.measure import Measurement, measure
from eval.records import Record
from eval.replies import Answer, NoAnswer
from eval.tasks.judged_pairs import JUDGED_PAIRS, SWAPPED, pairs
from serving.errors import UserError

COUNT = 40


@pytest.fixture
def rows():
    """Pairs with three votes each: two for "a" and one for "b", or, of every fourth, two for "b" and a tie."""
    rng = random.Random(0)
    return [
        {
            "id": f"p{n}",
            "question": f"Question {n}?",
            "a": "x" * (20 if n % 2 else 10),
            "b": "y" * 15,
            "votes": rng.sample(["a", "a", "b"] if n % 4 else ["b", "b", "tie"], 3),
        }
        for n in range(COUNT)
    ]


@pytest.fixture
def file(rows, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def judged(file, judge):
    """What the figures say of a judge, who is shown two answers and the seed and says which is better."""
    records = []
    for case in JUDGED_PAIRS.cases(pairs(Inputs(questions=file))):
        shown = json.loads(case.request.body["messages"][-1]["content"])
        said = judge(shown["first answer"], shown["second answer"], case.request.body["seed"])
        place = (case.task, case.sample["id"], case.variant, case.repeat, case.sample["id"], "", case.sample)
        reply = Answer(json.dumps({"reason": "So it is.", "better": said}))
        try:
            records.append(Record(*place, "ok", None, reply, JUDGED_PAIRS.score(case.sample, reply)))
        except NoAnswer as error:
            records.append(Record(*place, "error", str(error), reply, useless=True))
    return {figure.key: figure for section in JUDGED_PAIRS.figures(records) for figure in section.figures}


def value(figures, key):
    return figures[key].estimate.value


def prefers_a(first, second, seed):
    return "first" if "x" in first else "second"


def test_agreement_is_the_share_of_votes(file):
    figures = judged(file, prefers_a)
    # Of three pairs in four two votes of three are for a; in the fourth both votes that are no ties are for b.
    assert value(figures, "agreement") == pytest.approx(0.75 * 2 / 3)
    assert value(figures, "people") == pytest.approx(0.75 * 1 / 3 + 0.25)
    assert (value(figures, "consistent"), value(figures, "ties"), value(figures, "again")) == (1, 0, 1)
    assert value(figures, "first") == 0.5


def test_a_judge_that_likes_the_first_place_is_seen_and_agrees_by_chance(file):
    figures = judged(file, lambda first, second, seed: "first")
    assert (value(figures, "first"), value(figures, "consistent"), value(figures, "ties")) == (1, 0, 1)
    assert value(figures, "agreement") == 0.5


def test_a_judge_that_likes_length_is_seen_beside_people(file):
    figures = judged(file, lambda first, second, seed: "first" if len(first) > len(second) else "second")
    assert value(figures, "longer") == 1
    assert value(figures, "longer.people") < 0.7
    assert value(figures, "agreement") == value(figures, "agreement.longer")


def test_a_judge_of_moods_does_not_say_the_same_again(file):
    figures = judged(file, lambda first, second, seed: "first" if seed else "second")
    assert value(figures, "again") == 0


def test_verdicts_that_cannot_be_read_are_counted_and_say_nothing_else(file):
    figures = judged(file, lambda first, second, seed: "both")
    assert value(figures, "unread") == 1
    assert all(figure.estimate is None and figure.why_not for key, figure in figures.items() if key != "unread")


def test_without_votes_there_is_no_agreement(tmp_path, rows):
    path = tmp_path / "unvoted.jsonl"
    path.write_text("".join(json.dumps(row | {"votes": []}) + "\n" for row in rows))
    figures = judged(path, prefers_a)
    assert figures["agreement"].why_not == "no pair has a person's vote"
    assert value(figures, "consistent") == 1


def test_pairs_of_preference_data_have_one_vote(tmp_path):
    path = tmp_path / "preferences.jsonl"
    rows = [{"prompt": f"{n}?", "chosen": "good", "rejected": "bad"} for n in range(50)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = pairs(Inputs(questions=path))
    assert all(pair[pair["votes"][0]] == "good" for pair in found)
    assert {pair["votes"][0] for pair in found} == {"a", "b"}
    assert judged(path, lambda first, *_: "first" if first == "good" else "second")["people"].why_not


def test_the_last_answers_of_two_dialogues_are_compared(tmp_path, monkeypatch):
    import gzip

    (tmp_path / "hh_rlhf_harmless").mkdir()
    begin = "\n\nHuman: Hi.\n\nAssistant: Hello!\n\nHuman: Help me.\n\nAssistant:"
    row = {"chosen": f"{begin} Gladly.", "rejected": f"{begin} No."}
    with gzip.open(tmp_path / "hh_rlhf_harmless" / "test.jsonl.gz", "wt") as written:
        written.write(json.dumps(row) + "\n")
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    (pair,) = pairs(Inputs())
    assert {pair["a"], pair["b"]} == {"Gladly.", "No."}
    assert pair["question"].endswith("Human: Help me.")


def test_a_row_that_is_no_pair_is_named(tmp_path):
    path = tmp_path / "wrong.jsonl"
    path.write_text(json.dumps({"id": "p1", "question": "?", "a": "x", "b": "y", "votes": ["c"]}) + "\n")
    with pytest.raises(UserError, match="The pair p1 has 'votes' other than"):
        pairs(Inputs(questions=path))


def test_records_are_no_pairs(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps({"task": "almanac", "request": "1"}) + "\n")
    with pytest.raises(Missing, match="not pairs of answers"):
        pairs(Inputs(questions=path))


def test_a_judge_behind_a_server_is_bound_to_the_form(serve_table, file):
    cases = list(JUDGED_PAIRS.cases(pairs(Inputs(questions=file))))
    said = json.dumps({"reason": "So it is.", "better": "tie"})
    table = {case.request.body["messages"][-1]["content"]: said for case in cases}
    server = serve_table(table, models=("judge",))
    wanted = Measurement(None, ["judge"], server.base_url, questions=file, out=file.parent / "run")
    result = measure(wanted)
    assert result.errors == []
    assert result.figures["preferences.ties"].estimate.value == 1
    assert len(server.log) == 4 * COUNT
    form = server.log[0]["response_format"]["json_schema"]["schema"]
    assert form["properties"]["better"]["enum"] == ["first", "second", "tie"]
    assert {case.variant for case in cases} == {"", SWAPPED}
