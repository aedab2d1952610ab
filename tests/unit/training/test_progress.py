import io

import pytest

from training import progress
from training.progress import LiveLine, amount, clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_on_a_terminal_the_line_overwrites_itself(time: Clock) -> None:
    stream = Terminal()
    with LiveLine(stream) as line:
        line.show("step 1 of 10")
        time.now = 1
        line.show("step 2")
    assert stream.getvalue() == "\rstep 1 of 10\rstep 2      \rstep 2\n"


def test_elsewhere_there_is_a_line_now_and_then_and_the_last(time: Clock) -> None:
    stream = io.StringIO()
    with LiveLine(stream) as line:
        for step in range(40):
            time.now = step
            line.show(f"step {step}")
    assert stream.getvalue().split("\n") == ["step 0", "step 15", "step 30", "step 39", ""]


def test_nothing_is_said_twice(time: Clock) -> None:
    stream = io.StringIO()
    with LiveLine(stream) as line:
        line.show("once")
    assert stream.getvalue() == "once\n"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (185, "3m05s"), (7830, "2h10m")])
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(950, "950"), (12_345, "12.3k"), (1_200_000, "1.2M"), (2e9, "2G")])
def test_amounts(number: float, text: str) -> None:
    assert amount(number) == text
