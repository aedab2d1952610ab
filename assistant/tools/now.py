"""The tool `now`: the local date and time in words that fit into a sentence."""

from datetime import datetime

# Not strftime's %A and %B: those follow the machine's locale, the model speaks English.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def now(moment: datetime | None = None) -> str:
    """`moment`, by default this one, as in "Friday, 20 November 2026, 13:05"."""
    moment = moment or datetime.now()
    return f"{DAYS[moment.weekday()]}, {moment.day} {MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}"
