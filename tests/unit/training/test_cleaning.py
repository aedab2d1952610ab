"""Cleaning: one normal form for every text, and the second copy of a document found."""

from hypothesis import given
from hypothesis import strategies as st

from training.corpus.cleaning import Duplicates, fingerprint, normalise


def test_normal_form() -> None:
    assert normalise("cafe\u0301\r\n\u2028a\u00a0b\x00\ufeff  c \n\n\n\n  d\n") == "caf\u00e9\n\na b c\n\n  d"
    assert normalise("broken \ud83d pair").encode() == b"broken pair"


@given(st.text())
def test_normal_form_is_stable_and_valid(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode()


def test_fingerprint_ignores_case_and_space_but_not_signs() -> None:
    assert fingerprint("A  fox\nruns") == fingerprint("a fox runs")
    assert fingerprint("3 + 4") != fingerprint("3 - 4")


def test_near_duplicates() -> None:
    words = [f"word{number}" for number in range(200)]
    changed = [*words[:100], "other", *words[101:]]
    unlike = [f"term{number}" for number in range(200)]
    exact, near = Duplicates(), Duplicates(near=True)
    assert [exact.add(" ".join(text)) for text in (words, changed, unlike, words)] == [False, False, False, True]
    assert [near.add(" ".join(text)) for text in (words, changed, unlike, words)] == [False, True, False, True]
