"""Figures as people say them: units, signs and intervals, the same in every format of the report."""

from math import log10

from eval.figures import Figure, Unit

MINUS = "−"
LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def value_text(value: float, unit: Unit) -> str:
    """One value with its unit: "91.2 %", "412 ms", "0.934"."""
    return _with_unit(*_scaled(value, unit))


def interval_text(low: float, high: float, unit: Unit) -> str:
    """ "89.1 to 93.0 %": the unit is that of the upper end and is said once."""
    (first, low_unit), (second, high_unit) = _scaled(low, unit), _scaled(high, unit)
    start = first if low_unit == high_unit else _with_unit(first, low_unit)
    return f"{start} to {_with_unit(second, high_unit)}"


def difference_text(difference: float, unit: Unit) -> str:
    """A signed difference; those of shares are points."""
    number, name = _scaled(difference, unit)
    signed = number if number.startswith(MINUS) or not float(number.replace(",", "")) else f"+{number}"
    return _with_unit(signed, "points" if name == "%" else name)


def size_text(size: float, unit: Unit) -> str:
    """How large a difference is, without its direction."""
    return difference_text(abs(size), unit).removeprefix("+")


def figure_text(figure: Figure) -> str:
    """The value of a figure with its interval, or why there is none."""
    if figure.estimate is None:
        return f"not measurable ({figure.why_not})"
    value, low, high = figure.estimate[:3]
    return f"{value_text(value, figure.unit)} (95 %: {interval_text(low, high, figure.unit)})"


def counted(number: int, noun: str) -> str:
    """ "1 error", "1,204 errors"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """With a capital first letter and an end, whatever the rest looks like."""
    return text[:1].upper() + text[1:] + ("" if text[-1:] in (".", "?", "!") else ".")


def enumerated(items: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _scaled(value: float, unit: Unit) -> tuple[str, str]:
    if unit == "share":
        return _signed(f"{100 * value:.1f}"), "%"
    if unit == "seconds":
        if abs(value) < 1:
            return _signed(f"{1000 * value:.{1 if abs(value) < 0.02 else 0}f}"), "ms"
        return _signed(f"{value:.{0 if abs(value) >= 100 else 2}f}"), "s"
    size = abs(value)
    if size >= 1e15:
        return _signed(f"{value:.2e}"), ""
    for scale, name in LARGE:
        if size >= scale:
            return _signed(f"{value / scale:,.{max(0, 2 - int(log10(size / scale)))}f}"), name
    return _signed(f"{value:,.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3}f}"), ""


def _signed(text: str) -> str:
    """With a true minus sign, and none before a zero."""
    return text.lstrip("-") if not any(digit in "123456789" for digit in text) else text.replace("-", MINUS)


def _with_unit(number: str, unit: str) -> str:
    return f"{number}\N{NO-BREAK SPACE}{unit}" if unit else number
