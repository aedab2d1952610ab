"""Names of things that do not exist, made so that nothing but knowing tells them from real ones.

A made-up name imitates a real one word by word: words come from the letter statistics of its subject or from other
names, and it has the model's length, syllables and (when a tokenizer is at hand) tokens. Half of the possible names may
be used for teaching "I don't know", the other half only for testing it: which half a name is in depends on its hash.
"""

import random
import re
from collections import Counter
from collections.abc import Callable

from training.corpus.almanac.world import OPEN_SUBJECTS, World, share_of

ORDER = 2
TRIES = 8
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
ARTICLE = re.compile(r"((a|an|the) )?")
SMALL_WORDS = {"a", "an", "the", "of", "and", "in", "on", "to", "for", "with"}


def syllables(name: str) -> int:
    """Runs of vowels: a count that is the same for a real name and its imitation, not a linguist's one."""
    return len(re.findall(r"[aeiouyàáâãéêíóôõöüû]+", name.lower()))


def for_testing(name: str) -> bool:
    return share_of(f"made up|{name.lower()}") < 0.5


class MadeUpNames:
    """Draws names of things that do not exist, for teaching or testing. Only names that it `imitates` are models."""

    def __init__(
        self,
        world: World,
        testing: bool = False,
        token_count: Callable[[str], int] | None = None,
        imitates: Callable[[str], bool] = lambda name: True,
    ):
        self.testing = testing
        self.token_count = token_count
        self.real = {n.lower() for names in world.names.values() for n in names} | {
            f.value.lower() for f in world.stored
        }
        self.counts = Counter(word for name in self.real for word in self._content(name))
        originals = {s: [n for n in world.known_names.get(s, ()) if imitates(n)] for s in OPEN_SUBJECTS}
        self.originals = {subject: names for subject, names in originals.items() if names}
        self.words = {
            s: [w for n in names for w in n.split() if w.lower() not in SMALL_WORDS]
            for s, names in self.originals.items()
        }
        self.chains = {s: self._chain(words) for s, words in self.words.items()}
        self.distinctive = {frozenset(w for w in self._content(n) if not self._is_common(w)) for n in self.real} - {
            frozenset()
        }

    @staticmethod
    def _chain(words: list[str]) -> dict[str, str]:
        """Which letters follow each pair of letters, as often as they do; ^ opens a word and $ ends it."""
        chain: dict[str, str] = {}
        for word in words:
            padded = "^" * ORDER + word + "$"
            for i in range(len(padded) - ORDER):
                chain[padded[i : i + ORDER]] = chain.get(padded[i : i + ORDER], "") + padded[i + ORDER]
        return chain

    def _word(self, rng: random.Random, subject: str, model: str) -> str:
        """A word of about the model's length in the letters of the subject's names."""
        chain = self.chains[subject]
        for _ in range(TRIES):
            state, word = "^" * ORDER, ""
            while (letter := rng.choice(chain[state])) != "$" and len(word) <= len(model) + 1:
                word += letter
                state = state[1:] + letter
            if letter == "$" and abs(len(word) - len(model)) <= 1 and word[0].isupper() == model[0].isupper():
                return word
        return self._edit(rng, model)

    def _imitation(self, rng: random.Random, subject: str, model: str) -> str:
        words = model.split()
        content = [i for i, word in enumerate(words) if word.lower() not in SMALL_WORDS]
        changed = content if len(content) == 1 else rng.sample(content, rng.randrange(1, len(content) + 1))
        for i in changed:
            if len(content) > 1 and rng.random() < 0.5:
                words[i] = rng.choice(self.words[subject])
            else:
                words[i] = self._word(rng, subject, words[i])
        return " ".join(words)

    @staticmethod
    def _content(name: str) -> list[str]:
        return [word for word in name.lower().split() if word not in SMALL_WORDS]

    def _is_common(self, word: str) -> bool:
        """Whether a word is in many names ("Mount", "River") and so says little about which one is meant."""
        return self.counts[word] > 2

    def _allowed(self, name: str) -> bool:
        """Neither real nor another way to say a real name ("Thames River")."""
        if len(name) <= 2 or name.lower() in self.real or for_testing(name) != self.testing:
            return False
        content = self._content(name)
        rare = frozenset(word for word in content if not self._is_common(word))
        singles = any(frozenset((word,)) in self.distinctive for word in rare)
        return bool(rare) and rare not in self.distinctive and not (len(content) > 1 and singles)

    def _original(self, rng: random.Random, subject: str) -> str:
        while (name := rng.choice(self.originals[subject])).isdecimal():  # "1984" is a book
            pass
        return name

    def draw(self, rng: random.Random, subject: str) -> str:
        """A name that looks like one of `subject`, with its article where the real ones have it."""
        model = self._original(rng, subject)
        names = (self._imitation(rng, subject, model) for _ in range(TRIES * (4 if self.token_count else 1)))
        best = None
        for name in filter(self._allowed, names):
            off = abs(syllables(name) - syllables(model))
            off += abs(self.token_count(name) - self.token_count(model)) if self.token_count else 0
            if best is None or off < best[0]:
                best = off, name
            if off == 0:
                break
        return best[1] if best else self.near_miss(rng, subject)

    def near_miss(self, rng: random.Random, subject: str) -> str:
        """A real name with one or two letters changed, added, dropped or swapped: close, but nothing that exists."""
        while True:
            name = self._original(rng, subject)
            for _ in range(rng.choice((1, 2, 2))):
                name = self._edit(rng, name)
            if self._allowed(name):
                return name

    @staticmethod
    def _edit(rng: random.Random, name: str) -> str:
        start = len(ARTICLE.match(name).group())
        i, letter = rng.choice([i for i in range(start, len(name)) if name[i].isalpha()] or [0]), rng.choice(ALPHABET)
        kind = rng.randrange(4)
        if kind == 0:
            changed = letter.upper() if name[i].isupper() else letter
            return name[:i] + changed + name[i + 1 :]
        if kind == 1:
            return name[: i + 1] + letter + name[i + 1 :]
        if kind == 2 and len(name) > 4 and not name[i].isupper():
            return name[:i] + name[i + 1 :]
        if i + 1 < len(name) and name[i + 1].isalpha() and not name[i].isupper():
            return name[:i] + name[i + 1] + name[i] + name[i + 2 :]
        return name[: i + 1] + letter + name[i + 1 :]
