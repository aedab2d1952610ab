"""What a run costs by a list of prices: exact sums, and nothing where something is not known."""

import pytest
import yaml

from eval.records import Record
from eval.replies import Answer, Scored
from eval.result import Result
from eval.systems.prices import Price, cost_of, read_prices
from eval.systems.table import money
from serving.errors import UserError
from tests.unit.eval.systems.test_side_by_side import figure, system

PRICE = Price(input=2.0, output=10.0)


def run_of(replies, right=20):
    """A run whose i-th question got the i-th reply; the first `right` are right."""
    found = system("m", figure([]))
    records = [Record("t", str(i), "", 0, str(i), f"r{i}", {}, "ok", reply=reply) for i, reply in enumerate(replies)]
    units = figure([i < right for i in range(len(replies))])
    seen = [o._replace(unit=f"{o.unit}\t\t0") for o in units.observations]
    result = Result(found.folder, found.identity, found.suite, records)
    result.__dict__["sections"] = system("m", figure([]), headlines=["t.x"]).sections
    result.sections[0].figures[0].observations.extend(seen)
    return result


def answer(prompt=1000, completion=100):
    return Answer("x", prompt_tokens=prompt, completion_tokens=completion)


def test_a_run_costs_its_tokens_and_a_right_answer_what_all_cost_by_how_many_are_right():
    cost = cost_of(run_of([answer()] * 40, right=10), PRICE)
    assert (cost.prompt_tokens, cost.completion_tokens, cost.uncounted) == (40_000, 4_000, 0)
    assert cost.total == pytest.approx(40_000 * 2 / 1e6 + 4_000 * 10 / 1e6)
    assert cost.per_right.estimate.value == pytest.approx(1000 * cost.total / 10)
    assert cost.per_right.estimate.low < cost.per_right.estimate.value < cost.per_right.estimate.high


def test_equal_requests_are_paid_for_once():
    run = run_of([answer()] * 20)
    records = [Record(**vars(record) | {"request": "same"}) for record in run.records]
    assert cost_of(Result(run.folder, run.identity, run.suite, records), PRICE).prompt_tokens == 1000


def test_what_the_server_did_not_count_is_said_and_makes_no_price_of_right_answers():
    cost = cost_of(run_of([answer()] * 30 + [answer(None, None)] * 2 + [Scored([0.0], [1])]), PRICE)
    assert (cost.uncounted, cost.prompt_tokens) == (3, 30_000)
    assert cost.per_right is None  # a likelihood is among the answers
    lost = cost_of(run_of([answer()] * 30 + [answer(None, None)] * 2), PRICE)
    assert lost.per_right.why_not == "the tokens of 2 answers were not counted"


def test_without_a_price_or_a_right_answer_nothing_is_claimed():
    unpriced = cost_of(run_of([answer()] * 20), None)
    assert (unpriced.prompt_tokens, unpriced.total, unpriced.per_right) == (20_000, None, None)
    wrong = cost_of(run_of([answer()] * 20, right=0), PRICE)
    assert wrong.per_right.estimate is None
    assert cost_of(run_of([answer(None, None)] * 20), PRICE).total is None


def test_a_price_of_nothing_costs_nothing():
    assert cost_of(run_of([answer()] * 20), Price(input=0, output=0)).total == 0


@pytest.mark.parametrize(("value", "said"), [(12.4, "12.40"), (0.0312, "0.0312"), (0, "0.00"), (2e-6, "2.0e-06")])
def test_small_sums_keep_their_digits(value, said):
    assert money(value) == said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"currency": "EUR", "models": {"a": {"input": 1, "output": 2, "cached": 1}}}, r"models\.a\.cached: Extra"),
        (
            {"currency": "EUR", "models": {"a": {"input": -1, "output": 2}}},
            r"models\.a\.input: .*greater than",
        ),
        ({"currency": "EUR", "models": {"a": {"input": float("inf"), "output": 2}}}, r"models\.a\.input: .*finite"),
        ({"currency": "EUR", "models": {"a": {"input": 1}}}, r"models\.a\.output: Field required"),
        ({"currency": "EUR", "models": {}}, "models: "),
        ({"models": {"a": {"input": 1, "output": 2}}}, "currency: Field required"),
        ([], "the file: "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=f"cannot be used: {says}"):
        read_prices(path)


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no file of prices"):
        read_prices(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("currency: [")
    with pytest.raises(UserError, match="must be YAML"):
        read_prices(tmp_path / "bad.yaml")
