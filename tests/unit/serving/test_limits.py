from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api.errors import ApiError
from serving.limits import UNLIMITED, Bucket, KeyLimits, Limiter, duration


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 23, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(clock, clock.now)


def refusal(limiter: Limiter, limits: KeyLimits, key: str = "ada") -> ApiError:
    with pytest.raises(ApiError) as caught:
        limiter.admit(key, limits)
    assert caught.value.status == 429
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.body()["error"]["type"] == "rate_limit_error"
    return caught.value


def test_a_minute_of_requests_may_come_at_once_and_then_refills(limiter: Limiter, clock: Clock) -> None:
    limits = KeyLimits(requests_per_minute=3)
    left = [limiter.admit("ada", limits)["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    assert refusal(limiter, limits).headers["Retry-After"] == "20"
    clock.seconds = 19.9
    assert refusal(limiter, limits).headers["Retry-After"] == "1"
    clock.seconds = 20
    limiter.admit("ada", limits)
    refusal(limiter, limits)


def test_who_waits_as_long_as_told_is_let_in(limiter: Limiter, clock: Clock) -> None:
    limits = KeyLimits(requests_per_minute=7)
    for _ in range(50):
        try:
            limiter.admit("ada", limits)
        except ApiError as error:
            clock.seconds += int(error.headers["Retry-After"])
            limiter.admit("ada", limits)


def test_keys_have_limits_of_their_own(limiter: Limiter) -> None:
    limits = KeyLimits(requests_per_minute=1)
    limiter.admit("ada", limits)
    limiter.admit("bob", limits)
    refusal(limiter, limits, "ada")
    refusal(limiter, limits, "bob")
    assert limiter.admit("eve", UNLIMITED) == {}


def test_tokens_may_be_overdrawn_by_an_answer_and_are_paid_back(limiter: Limiter, clock: Clock) -> None:
    limits = KeyLimits(tokens_per_minute=600)
    limiter.admit("ada", limits)
    limiter.spend("ada", limits, 1200)
    told = refusal(limiter, limits).headers
    assert told["Retry-After"] == "61"  # 60 s of debt, and 0.1 s for a token
    assert told["x-ratelimit-limit-tokens"] == "600"
    assert told["x-ratelimit-remaining-tokens"] == "0"
    assert told["x-ratelimit-reset-tokens"] == "2m0s"
    clock.seconds = 60.1
    limiter.admit("ada", limits)


def test_a_request_refused_for_its_tokens_does_not_count(limiter: Limiter, clock: Clock) -> None:
    limits = KeyLimits(requests_per_minute=2, tokens_per_minute=60)
    limiter.spend("ada", limits, 60)
    for _ in range(5):
        refusal(limiter, limits)
    clock.seconds = 1
    assert limiter.admit("ada", limits)["x-ratelimit-remaining-requests"] == "1"


@given(amounts=st.lists(st.integers(1, 500), max_size=30), limit=st.integers(1, 100))
def test_in_the_long_run_nobody_gets_more_than_the_limit(amounts: list[int], limit: int) -> None:
    clock = Clock()
    bucket = Bucket(limit, clock)
    for amount in amounts:
        clock.seconds += bucket.seconds_until(1)
        bucket.take(amount)
    clock.seconds += bucket.seconds_until(0)
    # What was there at the start, and what came since.
    assert sum(amounts) <= limit + limit * clock.seconds / 60 + 1e-6


def test_the_day_is_over_at_midnight_utc(limiter: Limiter, clock: Clock) -> None:
    limits = KeyLimits(tokens_per_day=100)
    limiter.spend("ada", limits, 99)
    limiter.admit("ada", limits)
    limiter.spend("ada", limits, 1)
    told = refusal(limiter, limits)
    assert told.headers["Retry-After"] == "3600"
    assert told.headers["x-should-retry"] == "false"
    clock.seconds = 3600
    assert limiter.spent_today("ada") == 0
    limiter.admit("ada", limits)


def test_what_other_servers_have_counted_holds_here(limiter: Limiter) -> None:
    limits = KeyLimits(tokens_per_day=100)
    limiter.set_spent("ada", date(2026, 2, 28), 100)
    limiter.admit("ada", limits)
    limiter.set_spent("ada", date(2026, 3, 1), 100)
    refusal(limiter, limits)


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0ms"), (0.0121, "13ms"), (1, "1s"), (7.5, "7.5s"), (60, "1m0s"), (359.6, "6m0s")]
)
def test_durations_are_written_as_openai_does(seconds: float, written: str) -> None:
    assert duration(seconds) == written
