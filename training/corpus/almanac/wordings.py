"""How people put a question: frames, what stands around them, and the noise of typing.

Training wordings are composed, so that there are many and none is a key by itself: what must carry the answer is the
name and a word that points to the relation. The four-word runs of the wordings kept for testing are known here by
hash only, and no training wording holds one of them.
"""

import hashlib
import random
import re
from functools import cache, lru_cache
from pathlib import Path

from training.corpus.almanac.world import Relation, read_yaml

FOLDER = Path(__file__).parent / "wordings"
HELD_OUT = FOLDER / "held_out_4grams.txt"
PART = re.compile(r"\[(\w+)\]")
WORD = re.compile(r"\{\w+\}|[a-z0-9']+")
NAMES = {"{e}", "{w}", "{p}", "{q}", "{x}", "{n}", "{name}", "{thing}", "{things}", "{made_up}", "{pronoun}"}


def four_grams(frame: str) -> set[str]:
    """Runs of four words of a frame; a placeholder for a name breaks a run, the relation's noun `{r}` does not."""
    found, run = set(), []
    for word in WORD.findall(frame.lower()):
        if word in NAMES:
            run = []
            continue
        run.append(word)
        if len(run) >= 4:
            found.add(" ".join(run[-4:]))
    return found


@lru_cache(maxsize=65536)
def gram_hash(gram: str) -> str:
    return hashlib.blake2b(gram.encode(), digest_size=6).hexdigest()


@cache
def held_out() -> frozenset[str]:
    return frozenset(HELD_OUT.read_text(encoding="utf-8").split()) if HELD_OUT.exists() else frozenset()


def is_free(frame: str) -> bool:
    """Whether training may use this frame: it shares no four words in a row with a test wording."""
    taken = held_out()
    return not any(gram_hash(gram) in taken for gram in four_grams(frame))


@cache
def read(name: str) -> dict:
    """One file of wordings, parsed."""
    return read_yaml(FOLDER / f"{name}.yaml")


def _listed(words: str) -> list[str]:
    """A list of words, or of phrases with | between them."""
    return [word.strip() for word in (words.split("|") if "|" in words else words.split())]


class Vocabulary:
    """Words to compose phrases from: plain ones that come up often, rare ones of the same kinds, and made-up ones."""

    def __init__(self):
        self.rare = {kind: _listed(words) for kind, words in read("rare_words").items()}
        for kind, words in read("vocabulary").items():
            setattr(self, kind, _listed(words))
        self.any = [*self.nouns, *self.plurals, *self.mass, *self.adjectives, *self.verbs, *self.topics]

    def pick(self, rng: random.Random, kind: str) -> str:
        """A word of `kind` ("nouns", "verbs", ...): one in seven is rare, one in two hundred no word at all."""
        chance = rng.random()
        if chance < 0.005:
            return self.made_up(rng)
        return rng.choice(self.rare[kind] if chance < 0.145 and kind in self.rare else getattr(self, kind))

    def thing(self, rng: random.Random) -> str:
        """Something with an article that is not what is asked about: "a warm kitchen", "the goose"."""
        words = [self.pick(rng, "nouns")]
        if rng.random() < 0.4:
            words.insert(0, self.pick(rng, "adjectives"))
        return " ".join([rng.choice(("a", "a", "the", "my", "this", "one", "every", "our")), *words])

    def clause(self, rng: random.Random) -> str:
        """A few words that make sense, but have nothing to do with the question."""
        kind = rng.randrange(5)
        if kind == 0:
            return f"{rng.choice(self.prepositions)} {self.thing(rng)}"
        if kind == 1:
            person = f"{rng.choice(('my', 'our', 'the', 'a'))} {rng.choice(self.people)}"
            return f"{person} {self.pick(rng, 'actions')} {self.thing(rng)}"
        if kind == 2:
            somebody = rng.choice(("I", "we", "they", rng.choice(self.names)))
            return f"{somebody} {self.pick(rng, 'actions')} {self.pick(rng, 'belongings')}"
        if kind == 3:
            return f"{rng.choice(('as', 'for', 'like', 'with', 'says', 'asks', 'unlike'))} {self.thing(rng)}"
        return f"{self.thing(rng)} {self.pick(rng, 'verbs')} {rng.choice(self.prepositions)} {self.thing(rng)}"

    def filler(self, rng: random.Random) -> str:
        """One to five words that mean nothing here, or a clause or sentence beside the point."""
        kind = rng.random()
        if kind < 0.35:
            return self.clause(rng)
        if kind < 0.85:
            return rng.choice(self.asides).rstrip(".!")
        pool = self.fillers if rng.random() < 0.5 else self.any
        return " ".join(
            rng.choice(pool if rng.random() < 0.7 else self.any) for _ in range(rng.choice((1, 2, 2, 3, 4, 5)))
        )

    def made_up(self, rng: random.Random) -> str:
        word = "".join(rng.choice(self.syllables) for _ in range(rng.choice((1, 2, 2, 3))))
        return word + (rng.choice(self.endings) if rng.random() < 0.5 else "")


def composed(rng: random.Random, frames: dict[str, list[str]]) -> str:
    """One of the patterns of `frames`, with every [part] replaced by one of that name, parts of parts too."""
    frame = rng.choice(frames["composed"])
    while PART.search(frame):
        frame = PART.sub(lambda part: rng.choice(frames[part[1]]), frame)
    return frame


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


class Phrasing:
    """Turns frames into what a person might type, always different and never a test wording."""

    def __init__(self):
        self.frames = read("frames")
        self.words = Vocabulary()

    def free(self, make, rng: random.Random) -> str:
        """The first result of `make(rng)` that shares no four-word run with a test wording."""
        while True:
            frame = make(rng)
            if is_free(frame):
                return frame

    def question(self, rng: random.Random, relation: Relation) -> str:
        """A frame with `{e}` (and perhaps `{r}`) that asks for `relation`."""
        return self.free(lambda r: self._dressed(r, self._question(r, relation)), rng)

    def _question(self, rng: random.Random, relation: Relation) -> str:
        frames, kind = self.frames["question"], rng.random()
        if kind < 0.3:
            frame = composed(rng, frames)
        elif kind < 0.52:
            frame = rng.choice(frames["whole"])
        elif kind < 0.92:
            frame = rng.choice(relation.ask)
        else:
            frame = self._loose(rng, relation)
        return self._stuffed(rng, frame) if rng.random() < 0.12 else frame

    def _loose(self, rng: random.Random, relation: Relation) -> str:
        """Keywords, the name and fillers in any order: a wording nobody has thought of."""
        parts = ["{e}", rng.choice(relation.keywords)]
        if rng.random() < 0.35:
            parts.append(rng.choice(relation.keywords))
        parts += [rng.choice(self.words.fillers) for _ in range(rng.randrange(1, 7))]
        rng.shuffle(parts)
        return " ".join(parts) + rng.choice("?.?!") * rng.randrange(2)

    def _stuffed(self, rng: random.Random, frame: str) -> str:
        parts = frame.split(" ")
        for _ in range(rng.choice((1, 1, 2))):
            parts.insert(rng.randrange(len(parts) + 1), self._stuffing(rng))
        return " ".join(parts)

    def _stuffing(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.5:
            return rng.choice(self.words.fillers)
        return self.words.thing(rng) if kind < 0.7 else self.words.clause(rng)

    def _dressed(self, rng: random.Random, frame: str) -> str:
        """Something said before or after, as people do."""
        kind = rng.random()
        if kind < 0.45:
            return frame
        if kind < 0.62:
            return rng.choice(self.frames["openers"]) + frame
        if kind < 0.74:
            return frame + rng.choice(self.frames["tails"])
        if kind < 0.88:
            filler = self.words.filler(rng) if rng.random() < 0.8 else self.words.made_up(rng)
            return capitalised(filler) + rng.choice((", ", ". ", ": ", "! ", "? ", " ")) + frame
        filler = self.words.filler(rng)
        return f"{frame} {capitalised(filler) if rng.random() < 0.5 else filler}{rng.choice(('.', '', '!', '?'))}"

    def premise(self, rng: random.Random) -> str:
        """A frame with `{r}`, `{e}` and `{w}` that takes for granted, or asks whether, `{w}` is the value."""

        def make(r: random.Random) -> str:
            frames = self.frames["premise"]
            if r.random() < 0.42:
                frame = r.choice(frames["whole"])
            else:
                frame = r.choice(frames["around"]).replace(" .", ".").replace("#", r.choice(frames["statements"]))
            frame = self._stuffed(r, frame) if r.random() < 0.15 else frame
            return self._dressed(r, frame) if r.random() < 0.5 else frame

        return self.free(make, rng)

    def typed(self, rng: random.Random, text: str, keep: tuple[str, ...] = ()) -> str:
        """Typing habits: capitals, a missing full stop, now and then two letters swapped (never inside `keep`)."""
        text = capitalised(text) if rng.random() < 0.85 else text
        if rng.random() < 0.12:
            text = text.rstrip("?.!")
        if rng.random() < 0.05 and len(text) > 6:
            i = rng.randrange(1, len(text) - 2)
            spans = [(text.find(k), text.find(k) + len(k)) for k in keep]
            if not any(a - 1 <= i <= b for a, b in spans):
                text = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        return text
