"""What of a question is looked up in the full text, and how much of it a passage must contain."""

import re
from itertools import combinations

MAX_TERMS = 6
WORD = re.compile(r"\w+(?:[.,]\d+)*")
# Words of English that say nothing of what is sought.
FILLERS = frozenset(
    WORD.findall("""
    a about an and any are as at be been but by can could did do does for from had has have he her his how i if in is
    it its me my no not of on or our please say says she should so tell that the their them there these they this
    those to up us was we were what when where which who whom whose why will with would you your
    """)
)


def terms(question: str) -> list[str]:
    """The words that matter, the longest ones if there are many; all of them when none does."""
    words = list(dict.fromkeys(WORD.findall(question.lower())))
    telling = [word for word in words if word not in FILLERS] or words
    longest = sorted(telling, key=len, reverse=True)[:MAX_TERMS]
    return [word for word in telling if word in longest][:MAX_TERMS]


def wanted(question: str) -> list[tuple[str, ...]]:
    """Groups of terms: a passage is found when it contains all of one, which is half of all terms."""
    sought = terms(question)
    return list(combinations(sought, (len(sought) + 1) // 2)) if sought else []
