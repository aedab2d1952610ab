"""The tools that need nothing but their arguments, and what becomes of bad ones."""

import asyncio
from datetime import datetime

import pytest
from starlette.datastructures import State

from assistant.tools.calculate import CalculationError, calculate
from assistant.tools.desk import Desk, Outcome
from assistant.tools.now import now
from assistant.tools.toolbox import run_tool

DESK = Desk(State(), documents=None, user_id="user", brief=False)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12 * 7", "84"),
        ("(3 + 4) * -2", "-14"),
        ("10 / 4", "2.5"),
        ("-7 / 2", "-3.5"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.3333333333"),
        ("2 / 3", "0.6666666667"),
        ("1 / 3 * 3", "1"),
        ("7 // 2", "3"),
        ("10 % 3", "1"),
        ("2 ^ 64", "18446744073709551616"),
        ("2 ** -2", "0.25"),
        ("7 × 8 − 6 ÷ 2", "53"),
        ("1,000 * 3", "3000"),
        ("0.00001 / 3", "0.000003333333333"),
        ("999999999999 * 999999999999", "999999999998000000000001"),
        ("0 - 0.0", "0"),
    ],
)
def test_calculate_writes_numbers_as_people_do(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("__import__('os').system('true')", "only numbers"),
        ("abs(3)", "only numbers"),
        ("x + 1", "only numbers"),
        ("'a' * 9", "only numbers"),
        ("True + 1", "only numbers"),
        ("1j", "only numbers"),
        ("1 if 2 else 3", "only numbers"),
        ("(1 + 2", "not arithmetic"),
        ("", "not arithmetic"),
        ("1e999", "not arithmetic"),
        ("\0", "not arithmetic"),
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("9 ** 9 ** 9", "exponent"),
        ("2 ** 0.5", "exponent"),
        ("10 ** 1000", "too large"),
        ("7 ** 999 ** 1", "too large"),
        ("(99 ** 99) ** 99", "too large"),
        ("1" * 201, "longer than 200"),
    ],
)
def test_calculate_refuses_what_is_not_bounded_arithmetic(expression: str, why: str) -> None:
    with pytest.raises(CalculationError, match=why):
        calculate(expression)


def test_now_reads_like_a_sentence_in_any_locale() -> None:
    assert now(datetime(2026, 11, 20, 13, 5)) == "Friday, 20 November 2026, 13:05"
    assert now(datetime(2024, 2, 4, 0, 0)) == "Sunday, 4 February 2024, 00:00"
    assert str(datetime.now().year) in now()


def run(name: str, given: dict) -> Outcome:
    return asyncio.run(run_tool(name, given, DESK))


def test_what_tools_return_is_said_and_shown_alike() -> None:
    assert run("calculate", {"expression": "6 * 7"}) == Outcome("42", "42")
    assert run("now", {}) == Outcome(now(), now())


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("calculate", {}, "calculate needs an expression"),
        ("calculate", {"expression": 7}, "needs an expression"),
        ("calculate", {"expression": "1 / 0"}, "division by zero"),
        ("format_disk", {}, "no tool called format_disk"),
        ("generate_image", {}, "generate_image needs a prompt"),
        ("generate_image", {"prompt": 7}, "needs a prompt"),
        ("generate_image", {"prompt": " "}, "needs a prompt"),
        ("search_documents", {"text": "x"}, "search_documents needs a query"),
    ],
)
def test_bad_calls_are_told_to_the_model(name: str, given: dict, says: str) -> None:
    result = run(name, given)
    assert result.failed
    assert result.said == result.result
    assert result.said.startswith("error: ")
    assert says in result.said


def test_an_outcome_is_kept_as_a_step() -> None:
    assert run("calculate", {"expression": "1 / 0"}).step("calculate", "{}") == {
        "name": "calculate",
        "arguments": "{}",
        "result": "error: division by zero",
        "said": "error: division by zero",
        "pictures": [],
        "sources": [],
        "failed": True,
    }
