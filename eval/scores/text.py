"""How answers and expected values are made comparable before any score looks at them."""

import re
import unicodedata
from functools import lru_cache

_LOOKALIKES = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "−": "-", "‐": "-", "‑": "-", "—": " - ", "&": " and "}
)
_GROUPED_DIGITS = re.compile(r"(?<![\d.,])\d{1,3}(?:[,'\u00a0\u2009\u202f]\d{3})+(?!\d|,\d)")
_CONTRACTIONS = (
    (r"\b(?:can't|cannot)\b", "can not"),
    (r"n't\b", " not"),
    (r"\b(do|does|did|is|was|are|were)nt\b", r"\1 not"),
    (r"\b(i)'m\b", r"\1 am"),
    (r"'ve\b", " have"),
    (r"'re\b", " are"),
    (r"\b(that|it|this|which|there)'s\b", r"\1 is"),
    (r"'s\b", ""),
)
# Marks that belong to a value: inside a number, before a domain (".fr"), inside a compound, a minus sign.
_KEPT_MARKS = r"(?<=\d)[.,/](?=\d)|(?<![\w.])\.(?=\w)|(?<=\w)-(?=\w)|(?<![\w-])-(?=\d)"


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """`text` with one form for each character and contraction; punctuation and case stay.

    Accents are dropped ("São" -> "Sao"), quotes, dashes and minus signs unified, "1,000" becomes "1000", "don't"
    becomes "do not", a possessive 's is dropped.
    """
    text = _GROUPED_DIGITS.sub(lambda m: re.sub(r"\D", "", m[0]), text.translate(_LOOKALIKES))
    text = re.sub(r"(?<!\w)–(?=\d)", "-", text).replace("–", " - ")
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for pattern, replacement in _CONTRACTIONS:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
    text = text.replace("'", "")
    return re.sub(r"(?<!\d )\bminus (?=\d)", "-", text, flags=re.IGNORECASE)


@lru_cache(maxsize=4096)
def words(text: str, fold: bool = True) -> str:
    """`plain(text)` as words with single spaces between them; `fold` ignores case. "U.S.A." becomes "usa"."""
    text = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\b|\W|$)", r"\1", plain(text))
    text = re.sub(rf"({_KEPT_MARKS})|[^\w\s]|_", lambda m: m[1] or " ", text)
    return " ".join((text.casefold() if fold else text).split())
