"""What differs between two models: settings, tokenizer, template, how they came to be, and their weights."""

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from serving.model_folder import folder_digest, read_lineage, read_object
from serving.weight_diff import WeightDiff, weight_diff

SETTINGS = ("config.json", "generation_config.json", "adapter_config.json", "model_index.json")
# These differ whenever anything does.
NEVER_THE_SAME = ("created", "seconds", "parent_sha256")
# Digits of a digest.
SHOWN = 12


@dataclass(frozen=True)
class Change:
    """One value in both models, as text; "-" where there is none."""

    what: str
    a: str
    b: str


@dataclass(frozen=True)
class ModelDiff:
    """What differs. `template`: the lines of a unified diff of the chat templates."""

    same: bool
    lineage: list[Change]
    settings: list[Change]
    tokenizer: list[Change]
    template: list[str]
    weights: WeightDiff


def model_diff(a: Path, b: Path) -> ModelDiff:
    """Compare two model folders of any kind. Raises `ModelFolderError` for files that cannot be read."""
    return ModelDiff(
        same=folder_digest(a) == folder_digest(b),
        lineage=_changes(_lineage(a), _lineage(b)),
        settings=[change for name in SETTINGS for change in _changes(_settings(a, name), _settings(b, name))],
        tokenizer=_tokenizer_changes(a, b),
        template=list(difflib.unified_diff(_template(a), _template(b), a.name, b.name, n=1, lineterm="")),
        weights=weight_diff(a, b),
    )


def _changes(a: dict[str, str], b: dict[str, str]) -> list[Change]:
    names = dict.fromkeys([*a, *b])
    return [Change(name, a.get(name, "-"), b.get(name, "-")) for name in names if a.get(name) != b.get(name)]


def _flat(value: object, name: str = "") -> dict[str, str]:
    """The leaves of nested objects by their dotted names."""
    if not isinstance(value, dict):
        return {name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)}
    prefix = f"{name}." if name else ""
    return {leaf: text for key, inner in value.items() for leaf, text in _flat(inner, f"{prefix}{key}").items()}


def _settings(folder: Path, name: str) -> dict[str, str]:
    """Every setting in a file by its dotted name, which begins with the file's unless that is config.json."""
    prefix = "" if name == "config.json" else name.removesuffix(".json")
    return _flat(read_object(folder / name, ""), prefix) if (folder / name).is_file() else {}


def _lineage(folder: Path) -> dict[str, str]:
    """Stage, parent, recipe and so on; a source of text by its name."""
    if not (folder / "lineage.json").is_file():
        return {}
    lineage = read_lineage(folder).model_dump(exclude=set(NEVER_THE_SAME))
    sources = lineage.pop("sources")
    return _flat(lineage) | {f"source {one['name']}": f"{one['rows']} rows {one['sha256'][:SHOWN]}" for one in sources}


def _tokenizer_changes(a: Path, b: Path) -> list[Change]:
    first, second = _vocabulary(a), _vocabulary(b)
    changes = _changes(_tokenizer(a, first, second), _tokenizer(b, second, first))
    moved = sum(first[token] != second[token] for token in first.keys() & second)
    return [*changes, *([Change("shared tokens with other ids", "", str(moved))] if moved else [])]


def _tokenizer(folder: Path, vocabulary: dict[str, int], other: dict[str, int]) -> dict[str, str]:
    if not vocabulary:
        return {}
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    return {
        "tokenizer.json": digest[:SHOWN],
        "tokens": str(len(vocabulary)),
        "tokens of its own": _few(vocabulary.keys() - other),
    }


def _vocabulary(folder: Path) -> dict[str, int]:
    """Id of every token, those that were added included."""
    if not (folder / "tokenizer.json").is_file():
        return {}
    tokenizer = read_object(folder / "tokenizer.json", "")
    vocabulary = (tokenizer.get("model") or {}).get("vocab") or {}
    if isinstance(vocabulary, list):
        vocabulary = {piece: place for place, (piece, _) in enumerate(vocabulary)}
    return vocabulary | {token["content"]: token["id"] for token in tokenizer.get("added_tokens") or []}


def _few(tokens: set[str]) -> str:
    shown = ", ".join(repr(token) for token in sorted(tokens)[:5])
    return f"{len(tokens)}: {shown}{', …' if len(tokens) > 5 else ''}" if tokens else "none"


def _template(folder: Path) -> list[str]:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8").splitlines()
    settings = folder / "tokenizer_config.json"
    inside = read_object(settings, "").get("chat_template") if settings.is_file() else None
    return str(inside).splitlines() if inside else []
