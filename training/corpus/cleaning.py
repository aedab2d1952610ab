"""What happens to a text before it is trained on: one normal form, and no document twice."""

import hashlib
import re
import unicodedata

import numpy as np

# Everything Unicode calls a control, a lone surrogate or a noncharacter, but not tab and line feed.
UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]")
LINE_BREAKS = re.compile("\r\n|\r|\u2028|\u2029|\x85")
SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
INNER_RUNS = re.compile(r"(?<=\S) {2,}(?=\S)")
LINE_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)
BLANK_LINES = re.compile(r"\n{3,}")
WORDS = re.compile(r"\w+")


def normalise(text: str) -> str:
    """`text` in NFC, without control characters, with plain spaces and line feeds, and at most one blank line in a row.

    Spaces at the start of a line stay: they are what indents code and verse.
    """
    text = unicodedata.normalize("NFC", LINE_BREAKS.sub("\n", text))
    text = UNWANTED.sub("", SPACES.sub(" ", text))
    text = LINE_ENDS.sub("", INNER_RUNS.sub(" ", text))
    return BLANK_LINES.sub("\n\n", text).strip("\n").rstrip()


def fingerprint(text: str) -> int:
    """64 bits that two texts share when they differ only in case and space."""
    key = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


class Duplicates:
    """Remembers the documents of one source.

    Exact duplicates (equal `fingerprint`) cost one hash. Near duplicates are found by MinHash (Broder 1997) over word
    5-grams, in `BANDS` bands of `ROWS` values: of two texts that share 80 % of their 5-grams the second is caught with
    probability 0.95, of two that share half with 0.22.
    """

    BANDS, ROWS, GRAM = 8, 5, 5

    def __init__(self, near: bool = False) -> None:
        self._near = near
        self._seen: set[int] = set()
        generator = np.random.default_rng(0)
        self._multipliers = generator.integers(1, 2**63, (self.BANDS * self.ROWS, 1), dtype=np.uint64) | np.uint64(1)

    def add(self, text: str) -> bool:
        """Whether `text` was seen before; from now on it is."""
        keys = {fingerprint(text)}
        if self._near:
            keys |= self._bands(text)
        seen = not keys.isdisjoint(self._seen)
        self._seen |= keys
        return seen

    def _bands(self, text: str) -> set[int]:
        words = WORDS.findall(text.casefold())
        grams = {" ".join(words[i : i + self.GRAM]) for i in range(max(1, len(words) - self.GRAM + 1))}
        hashes = np.array([fingerprint(gram) for gram in grams], dtype=np.uint64)
        smallest = (hashes * self._multipliers).min(axis=1).reshape(self.BANDS, self.ROWS)
        return {hash((band, row.tobytes())) for band, row in enumerate(smallest)}
