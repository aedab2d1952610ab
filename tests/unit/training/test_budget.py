import pytest

from training.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("12M tokens", Budget(amount=12_000_000)),
        ("1.5 K tokens", Budget(amount=1_500)),
        ("800 tokens", Budget(amount=800)),
        ("2B tokens", Budget(amount=2_000_000_000)),
        ("6m", Budget(seconds=360)),
        ("90s", Budget(seconds=90)),
        ("1.5 h", Budget(seconds=5400)),
    ],
)
def test_budgets_as_people_write_them(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "12M", "tokens", "0 tokens", "-1m", "6 min", "12m tokens", "1e6 tokens"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="is no budget"):
        parse_budget(text)


def test_steps() -> None:
    assert Budget(amount=10_000).steps(4096, None) == 2
    assert Budget(amount=1).steps(4096, None) == 1
    assert Budget(seconds=10).steps(4096, 20_480) == 50


def test_a_budget_of_images() -> None:
    assert parse_budget("150K images", "images") == Budget(amount=150_000)
    with pytest.raises(ValueError, match="write images"):
        parse_budget("150K tokens", "images")
