"""Conversations to token ids and a loss mask, in bulk.

The same ids and the same mask as `tokenizer.apply_chat_template(..., return_assistant_tokens_mask=True)`, but in
batches on the bare `tokenizers` library, and with the system turn tokenised once for all conversations that share it.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from tokenizers import Tokenizer

from prompts.library import chat_template
from serving.errors import UserError
from training.corpus.sources import schemas_of
from training.recipe import Dress
from training.turns import answers_in

GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
REFUSALS = (jinja2.TemplateError, TypeError)
"""How templates fail at what they cannot write: they say so, or add or measure a content that is null."""


class NotWrittenError(UserError):
    """A conversation that the model's chat template cannot write."""


class Document(NamedTuple):
    """One document as tokens. `prefix` holds the ids of a system turn that other documents begin with as well."""

    prefix: tuple[int, ...]
    ids: np.ndarray
    counted: np.ndarray
    """Whether each of `ids` counts in the loss; the first never does."""


class Renderer:
    """Encodes documents with the tokenizer and chat template of a model folder."""

    def __init__(self, folder: Path, dress: Dress) -> None:
        from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        template = chat_template_of(folder)
        self.template = _compile_jinja_template(template)
        # Our own template writes the turns after the system turn the same with and without it: it need not run again.
        self.ours = template == chat_template()
        self.marked = GENERATION.search(template) is not None
        self._render = _render_with_assistant_indices
        self.special = _special_tokens(folder)
        self.added = tuple(token.content for token in self.tokenizer.get_added_tokens_decoder().values())
        self.dress = dress
        self._prefixes: dict[tuple[str, int], tuple[str, tuple[int, ...]]] = {}
        self._known_tools: dict[str, list[dict]] = {}

    def texts(self, texts: list[str]) -> list[Document]:
        """Plain texts, each between two end-of-text tokens; all but the first token count."""
        end = self.text_end
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [_counted_from_second(np.array([end, *encoding.ids, end], np.int64)) for encoding in encodings]

    def conversations(self, documents: Iterable[dict], answers_only: bool = True) -> list[Document]:
        """Conversations as the chat template writes them; with `answers_only` the assistant's words alone count."""
        rendered = [self.render(document) for document in documents]
        encodings = self.tokenizer.encode_batch([body for _, body, _ in rendered], add_special_tokens=False)
        encoded = []
        for (prefix, _, spans), encoding in zip(rendered, encodings, strict=True):
            ids = np.array(encoding.ids, np.int64)
            counted = _mask(encoding, spans) if answers_only else np.ones(len(ids), bool)
            counted[:1] = False
            encoded.append(Document(prefix, ids, counted))
        return encoded

    def exchange(self, prompt: list[dict], answer: dict, tools: list | None = None) -> tuple[str, str]:
        """What the model reads before it answers, and the answer as it would write it, its end token included.

        `tools`: what it was offered, where that is not what the dress says.
        """
        document = {"messages": prompt} if tools is None else {"messages": prompt, "tools": tools}
        messages, tools = self.dressed(document)
        system, opening = _system_turn(messages), ""
        if self.ours and (system or tools):
            opening, _ = self._prefix(system, tools)
            messages, tools = messages[len(system) :], None
        whole, _ = self._rendered([*messages, answer], tools)
        before = self._write(messages, tools, True)
        if not whole.startswith(before):
            raise UserError("The chat template writes a prompt otherwise when an answer follows: it cannot be trained.")
        return opening + before, whole.removeprefix(before).rstrip("\n")

    def render(self, document: dict) -> tuple[tuple[int, ...], str, list[tuple[int, int]]]:
        """The ids of the system turn, the text after it, and the spans of that text which the assistant says."""
        messages, tools = self.dressed(document)
        system = _system_turn(messages)
        if not system and not tools:
            return (), *self._rendered(messages, None)
        prefix, ids = self._prefix(system, tools)
        if self.ours:
            return ids, *self._rendered(messages[len(system) :], None)
        text, spans = self._rendered(messages, tools)
        if not (text.startswith(prefix) and text.startswith(self.added, len(prefix))):
            return (), text, spans
        return ids, text[len(prefix) :], [(start - len(prefix), end - len(prefix)) for start, end in spans]

    def dressed(self, document: dict) -> tuple[list[dict], list[dict] | None]:
        """The messages and tool schemas that the template is given."""
        messages = document["messages"]
        if document.get("bare"):
            return messages, None
        if self.dress.system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.dress.system}, *messages]
        if self.dress.tools is None:
            return messages, None
        return messages, self._schemas(document.get("tools", self.dress.tools)) or None

    def _schemas(self, tools: list) -> list[dict]:
        key = repr(tools)
        if key not in self._known_tools:
            self._known_tools[key] = schemas_of({"tools": tools})
        return self._known_tools[key]

    def _rendered(self, messages: list[dict], tools: list[dict] | None) -> tuple[str, list[tuple[int, int]]]:
        """A conversation as text, and the spans that the assistant says. Raises `UserError` if it cannot be written."""
        text, spans = self._told(messages, tools)
        called = [call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()]
        if not self.ours and any(name not in text for name in called):
            raise _not_written("it leaves tool calls out")
        return text, spans

    def _told(self, messages: list[dict], tools: list[dict] | None) -> tuple[str, list[tuple[int, int]]]:
        if self.marked:
            return self._applied(messages, tools, False)
        return answers_in(self._write, messages, tools)

    def _write(self, messages: list[dict], tools: list[dict] | None, ask: bool) -> str:
        return self._applied(messages, tools, ask)[0]

    def _applied(self, messages: list[dict], tools: list[dict] | None, ask: bool) -> tuple[str, list[tuple[int, int]]]:
        """What the template writes, and the spans that it marks. Raises `NotWrittenError` if it cannot write it."""
        try:
            return self._render(self.template, messages, tools, None, ask, **self.special)
        except REFUSALS as error:
            raise _not_written(str(error)) from None

    def _prefix(self, system: list[dict], tools: list[dict] | None) -> tuple[str, tuple[int, ...]]:
        """The system turn alone, as text and ids; empty when the template refuses to write it alone.

        Text can be cut behind it without changing ids where an added token follows: the tokenizer always splits there.
        """
        key = (repr(system), id(tools))  # equal tool lists are one list, see `_schemas`
        if key not in self._prefixes:
            self._prefixes[key] = self._encoded_prefix(system, tools)
        return self._prefixes[key]

    def _encoded_prefix(self, system: list[dict], tools: list[dict] | None) -> tuple[str, tuple[int, ...]]:
        try:
            text = self._write(system, tools, False)
        except NotWrittenError:
            return "", ()
        return text, tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def token_count(self, name: str) -> int:
        """How many tokens a name has behind a blank."""
        return len(self.tokenizer.encode(f" {name}", add_special_tokens=False))

    @property
    def pad_id(self) -> int:
        """What fills a row: the padding token, or the end token of a tokenizer that has none."""
        return self.tokenizer.token_to_id(self.special.get("pad_token") or self.special["eos_token"])

    @property
    def text_end(self) -> int:
        """The id that ends a plain text: <|endoftext|>, or what a foreign tokenizer ends everything with."""
        found = self.tokenizer.token_to_id("<|endoftext|>")
        return self.tokenizer.token_to_id(self.special["eos_token"]) if found is None else found


def chat_template_of(folder: Path) -> str | None:
    """The Jinja source of a folder's chat template; one that `training.foreign` put there for training goes first."""
    for file in (folder / "training_template.jinja", folder / "chat_template.jinja"):
        if file.is_file():
            return file.read_text(encoding="utf-8")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return one_template(config.get("chat_template"))


def one_template(templates: Any) -> str | None:
    """The template itself, or of several with names, as a list or a dict, the one called default, else the first.

    Raises `UserError` where that is no text.
    """
    if isinstance(templates, list) and all(isinstance(one, dict) for one in templates):
        templates = {one.get("name"): one.get("template") for one in templates}
    if isinstance(templates, dict):
        templates = templates.get("default", next(iter(templates.values()), None))
    if templates is None or isinstance(templates, str):
        return templates
    raise UserError(
        "The model's chat_template is neither text nor texts with names, of which the one called default or else the "
        "first is taken: mend its tokenizer_config.json, or use another base."
    )


def marks_answers(folder: Path) -> bool:
    """Whether the folder's chat template marks what the assistant says."""
    template = chat_template_of(folder)
    return template is not None and GENERATION.search(template) is not None


def _system_turn(messages: list[dict]) -> list[dict]:
    return messages[:1] if messages[0]["role"] == "system" else []


def _not_written(why: str) -> NotWrittenError:
    return NotWrittenError(
        f"The model's chat template cannot write a conversation of the sources ({why.rstrip('.')}): leave out what it "
        "does not know, with `persona: null`, `tools: []` or other sources, or use a base with another template."
    )


def _special_tokens(folder: Path) -> dict[str, str]:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    found = {key: config.get(key) for key in SPECIAL_KEYS}
    return {key: token["content"] if isinstance(token, dict) else token for key, token in found.items() if token}


def _counted_from_second(ids: np.ndarray) -> Document:
    return Document((), ids, np.arange(len(ids)) > 0)


def _mask(encoding, spans: list[tuple[int, int]]) -> np.ndarray:
    """Whether each token lies in one of the character spans, as transformers decides it."""
    mask = np.zeros(len(encoding.ids), bool)
    for start, end in spans:
        first, last = encoding.char_to_token(start), encoding.char_to_token(end - 1)
        if first is None:
            break
        mask[first : last + 1 if last else len(mask)] = True
    return mask
