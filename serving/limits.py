"""How much a key may ask for: requests and tokens in a minute, tokens in a day."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from serving.api.errors import ApiError
from serving.database import utcnow


@dataclass(frozen=True)
class KeyLimits:
    """What one key may use; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None


UNLIMITED = KeyLimits()


class Bucket:
    """A minute's allowance that refills evenly; all of it may be used at once.

    It may be overdrawn, since an answer's length is known only afterwards, and is empty until that is paid back: in
    the long run nobody gets more than `per_minute`.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock, self._level, self._at = clock, float(per_minute), clock()

    @property
    def level(self) -> float:
        """What may be taken now; negative when overdrawn."""
        now = self._clock()
        self._level = min(self.per_minute, self._level + (now - self._at) * self.per_minute / 60)
        self._at = now
        return self._level

    def take(self, amount: float) -> None:
        """Take `amount`, be it there or not."""
        self._level = self.level - amount

    def seconds_until(self, level: float) -> float:
        """How long it takes to hold `level`."""
        return max(0.0, level - self.level) * 60 / self.per_minute


class Limiter:
    """The allowances of every key, in this process: each replica of a server has its own minutes.

    The day's tokens are put right from the database with `set_spent`, for all replicas together.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = utcnow) -> None:
        self._clock, self._now = clock, now
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._spent: dict[str, tuple[date, int]] = {}

    def admit(self, key: str, limits: KeyLimits) -> dict[str, str]:
        """Take one request of `key`; returns OpenAI's `x-ratelimit-*` headers. Raises `ApiError` 429."""
        requests = self._bucket(key, "requests", limits.requests_per_minute)
        tokens = self._bucket(key, "tokens", limits.tokens_per_minute)
        headers = _headers(requests, "requests") | _headers(tokens, "tokens")
        if limits.tokens_per_day is not None and self.spent_today(key) >= limits.tokens_per_day:
            # Trying again soon is in vain, which the official client would do.
            headers["x-should-retry"] = "false"
            raise _refusal("tokens per day", limits.tokens_per_day, self._seconds_to_midnight(), headers)
        for bucket, name in ((tokens, "tokens"), (requests, "requests")):
            if bucket and (wait := bucket.seconds_until(1)):
                raise _refusal(f"{name} per minute", bucket.per_minute, wait, headers)
        if requests:
            requests.take(1)
        return headers | _headers(requests, "requests")

    def spend(self, key: str, limits: KeyLimits, tokens: int) -> None:
        """Charge the tokens of an answer."""
        if bucket := self._bucket(key, "tokens", limits.tokens_per_minute):
            bucket.take(tokens)
        if limits.tokens_per_day is not None:
            self.set_spent(key, self._now().date(), self.spent_today(key) + tokens)

    def spent_today(self, key: str) -> int:
        """Tokens of the current day (UTC)."""
        day, tokens = self._spent.get(key, (None, 0))
        return tokens if day == self._now().date() else 0

    def set_spent(self, key: str, day: date, tokens: int) -> None:
        """Say how many tokens `key` has used on `day` until now."""
        self._spent[key] = (day, tokens)

    def _bucket(self, key: str, what: str, per_minute: int | None) -> Bucket | None:
        if per_minute is None:
            return None
        if (key, what) not in self._buckets:
            self._buckets[key, what] = Bucket(per_minute, self._clock)
        return self._buckets[key, what]

    def _seconds_to_midnight(self) -> float:
        now = self._now()
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (tomorrow - now).total_seconds()


def _headers(bucket: Bucket | None, what: str) -> dict[str, str]:
    if bucket is None:
        return {}
    return {
        f"x-ratelimit-limit-{what}": str(bucket.per_minute),
        f"x-ratelimit-remaining-{what}": str(max(0, math.floor(bucket.level))),
        f"x-ratelimit-reset-{what}": duration(bucket.seconds_until(bucket.per_minute)),
    }


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: 120ms, 7.5s, 1m30s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s"


def _refusal(what: str, limit: int, wait: float, headers: dict[str, str]) -> ApiError:
    seconds = math.ceil(wait)
    return ApiError(
        429,
        f"This key's limit of {limit} {what} is reached. Please try again in {duration(seconds)}.",
        code="rate_limit_exceeded",
        headers=headers | {"Retry-After": str(seconds)},
    )
