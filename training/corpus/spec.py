"""How a recipe names a source, and what it is told about it afterwards."""

import codecs
import operator
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from training.corpus.readers import Splitting
from training.corpus.shapes import Kind

NOT_CHOSEN, LENGTH, DUPLICATE = "not chosen by `where`", "too short or too long", "duplicate"


class SourceSpec(BaseModel):
    """One source of a recipe. `name` is `almanac`, `copies`, a file, folder or glob, or a Hugging Face data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    kind: Kind
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    purpose: Literal["training", "tokenizer"] = "training"
    bare: float = Field(default=0.0, ge=0, le=1, description="share of almanac chats without system prompt and tools")
    licence: str | None = Field(default=None, description="written into the lineage of the model")
    where: dict[str, Any] = Field(default={}, description='rows to keep: {common: ">= 0.8", split: train}')
    fields: dict[str, str] = Field(default={}, description='our names from theirs: {text: "{title}\\n\\n{story}"}')
    replace: dict[str, str] = Field(default={}, description="strings replaced everywhere in a row")
    passages: str | None = Field(default=None, description="file of the texts that question rows refer to")
    documents: Splitting = Field(default="length", description="where a text file is cut into documents")
    encoding: str = "utf-8"
    limit: int | None = Field(default=None, ge=1, description="documents taken at most, after shuffling")
    min_characters: int = Field(default=1, ge=1)
    max_characters: int | None = Field(default=None, ge=1, description="longer documents are left out")
    max_messages: int | None = Field(default=None, ge=2, description="where a longer conversation is cut")
    duplicates: Literal["keep", "exact", "near"] = Field(default="exact", description="which repetitions are left out")
    broken: float = Field(default=0.01, ge=0, le=1, description="share of rows that may be unusable")
    held_out: float = Field(default=0.01, ge=0, lt=1, description="share of documents kept for validation")
    # Left out where it does nothing: what was grown before there was one stays what it is.
    counterfactual: list[str] = Field(
        default=[],
        exclude_if=operator.not_,
        description="axes (gender, religion ...): what names a group of one comes with a copy about each other group",
    )
    split: str = Field(default="train", description="of a Hugging Face data set")
    config: str | None = Field(default=None, description="of a Hugging Face data set")
    revision: str | None = Field(default=None, description="of a Hugging Face data set")

    @field_validator("where")
    @classmethod
    def _sound_patterns(cls, where: dict[str, Any]) -> dict[str, Any]:
        for wanted in where.values():
            if isinstance(wanted, str) and wanted.lstrip().startswith("~"):
                try:
                    re.compile(wanted.lstrip()[1:].strip())
                except re.error as error:
                    raise ValueError(f"{wanted!r} is no regular expression: {error}") from None
        return where

    @field_validator("counterfactual")
    @classmethod
    def _known_axes(cls, axes: list[str]) -> list[str]:
        return check_axes(axes)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"no encoding is called {encoding!r}") from None
        return encoding.lower().replace("utf8", "utf-8")


def check_axes(axes: list[str]) -> list[str]:
    """The axes. Raises `ValueError` for one that has no groups to swap."""
    if not axes:
        return axes
    from training.corpus.counterfactual import known_axes

    if unknown := set(axes) - set(known_axes()):
        raise ValueError(f"no axis is called {', '.join(sorted(unknown))}: name some of {', '.join(known_axes())}")
    return axes


class SourceReport(BaseModel):
    """What came out of a source so far; filled while it is read.

    `sha256` is over the files' bytes (for one file, what `sha256sum` prints), of streams over the documents handed out.
    """

    name: str
    licence: str = "not stated"
    rows: int = 0
    sha256: str = ""
    skipped: dict[str, int] = {}
    first: dict[str, str] = Field(default={}, description="where each reason for skipping was met first")

    def skip(self, reason: str, place: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        self.first.setdefault(reason, place)

    def summary(self) -> str:
        """One line for the log: documents, and what was skipped why and where first."""
        return f"{self.name}: {self.rows:,} documents" + (f"; skipped {self.reasons()}" if self.skipped else "")

    def reasons(self) -> str:
        """What was skipped, why, and where first."""
        return self._listed(self.skipped)

    def unusable(self) -> str:
        """The same for what could not be used; empty when all could."""
        return self._listed([reason for reason in self.skipped if reason not in (NOT_CHOSEN, LENGTH, DUPLICATE)])

    def _listed(self, reasons: Iterable[str]) -> str:
        return "; ".join(f"{self.skipped[reason]} {reason}, first in {self.first[reason]}" for reason in reasons)
