"""What a privacy probe is made of: documents that the model was trained on, and in the same shape some that it was not.

A row is {"text": ...}. One with a "secret" as well, a part of its text, is a canary: a random string that was put into
the training data on purpose; its "look_alikes" are other strings that could have been put there, made by drawing other
digits and letters where the row names none.
"""

import random
import re
import string
from collections.abc import Iterator
from pathlib import Path

from eval.data import Inputs, Missing, rows
from eval.scores.score import Sample
from eval.task import sampled
from serving.errors import UserError

OF_EACH = 300
"""Documents of either kind that are asked about."""
LONGEST, SHORTEST = 200, 16
"""Words of a document that are looked at, and that it must have."""
PREFIX, SUFFIX = 40, 40
LOOK_ALIKES = 511
"""With the secret itself 512: an exposure of 9 bits can be seen."""
FEWEST_LOOK_ALIKES = 99
NO_TEXTS = (
    "it needs texts that the model was trained on, and a control: "
    "name them with --training-text FILE and --held-out-text FILE"
)
_KINDS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)


def documents(inputs: Inputs) -> list[Sample]:
    """As many of either kind: {"id", "text", "seen"}; no held-out text that is also a training text.

    Raises `Missing` without both files, `UserError` where they have no documents of 16 words.
    """
    seen, held_out = _documents(inputs, seen=True), _documents(inputs, seen=False)
    known = {_plain(row["text"]) for row in seen}
    held_out = [row for row in held_out if _plain(row["text"]) not in known]
    for kind, found in (("training", seen), ("held-out", held_out)):
        if not found:
            raise UserError(f"The {kind} text has no documents of {SHORTEST} words or more that only it has: add some.")
    count = min(OF_EACH, len(seen), len(held_out))
    return [*sampled(seen, count), *sampled(held_out, count)]


def halves(inputs: Inputs) -> list[Sample]:
    """The documents with a "prefix" to show and the "suffix" that follows it, which begins with the blank between."""
    return [row | _split(row["text"]) for row in documents(inputs)]


def canaries(inputs: Inputs) -> list[Sample]:
    """Secrets of both files with what stands before ("context") and the "choices": the secret first, then others."""
    found = [_canary(row) for seen in (True, False) for row in _rows(inputs, seen) if "secret" in row]
    if not any(row["seen"] for row in found):
        raise Missing('no row of the training text has a "secret": plant some before training to see if they are kept')
    return found


def _documents(inputs: Inputs, seen: bool) -> list[Sample]:
    plain = [row for row in _rows(inputs, seen) if "secret" not in row and len(row["text"].split()) >= SHORTEST]
    return [row | {"text": row["text"][: _end_of_word(row["text"], LONGEST)]} for row in plain]


def _rows(inputs: Inputs, seen: bool) -> Iterator[Sample]:
    for number, row in enumerate(_read(_path(inputs, seen)), 1):
        if not isinstance(row.get("text"), str) or not row["text"].strip():
            raise UserError(f"{_path(inputs, seen)}: document {number} has no 'text': give every row one.")
        name = str(row.get("id", number))
        yield row | {"id": f"{'training' if seen else 'held-out'}/{name}", "seen": seen, "text": row["text"].strip()}


def _path(inputs: Inputs, seen: bool) -> Path:
    if inputs.training_text is None or inputs.held_out_text is None:
        raise Missing(NO_TEXTS)
    return inputs.training_text if seen else inputs.held_out_text


def _read(path: Path) -> Iterator[Sample]:
    """The rows of a table or of JSONL; of a text file the parts between blank lines."""
    if path.suffix not in (".txt", ".md"):
        yield from rows(path)
        return
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The file {path} cannot be read ({error}): it must be text in UTF-8.") from None
    yield from ({"text": part} for part in re.split(r"\n\s*\n", content) if part.strip())


def _split(text: str) -> Sample:
    shown = min(PREFIX, len(text.split()) // 2)
    middle, end = _end_of_word(text, shown), _end_of_word(text, shown + SUFFIX)
    return {"prefix": text[:middle], "suffix": text[middle:end]}


def _end_of_word(text: str, count: int) -> int:
    """Where so many words end, or all of them if there are fewer."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return ends[min(count, len(ends)) - 1]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _canary(row: Sample) -> Sample:
    before, found, after = row["text"].partition(row["secret"])
    if not row["secret"] or not found:
        raise UserError(f"The canary {row['id']} has a 'secret' that is no part of its text: correct it.")
    others = row.get("look_alikes") or _look_alikes(row["secret"], row["id"])
    others = [other for other in dict.fromkeys(map(str, others)) if other != row["secret"]]
    if len(others) < FEWEST_LOOK_ALIKES:
        raise UserError(
            f"The canary {row['id']} has {len(others)} look-alikes, fewer than {FEWEST_LOOK_ALIKES}: "
            "plant a secret of three or more random digits or letters, or give the row more."
        )
    kept = {name: row[name] for name in ("id", "text", "secret", "seen")}
    return kept | {"context": before, "choices": [f"{secret}{after}" for secret in (row["secret"], *others)]}


def _look_alikes(secret: str, name: str) -> list[str]:
    """Others with digits where it has digits and letters where it has letters, drawn at random; as many as there are,
    up to what is wanted.
    """
    rng = random.Random(name)
    drawn = (re.sub(r"[0-9A-Za-z]", lambda match: _other(match[0], rng), secret) for _ in range(20 * LOOK_ALIKES))
    return [other for other in dict.fromkeys(drawn) if other != secret][:LOOK_ALIKES]


def _other(character: str, rng: random.Random) -> str:
    return rng.choice(next(kind for kind in _KINDS if character in kind))
