"""Reads examples of what is preferred, checks them, and writes them as the texts that a stage's ranks train on.

Files are JSONL in TRL's shapes, prompts and answers as text or as messages: `{"prompt", "chosen", "rejected"}`, or
`{"prompt", "completion", "label"}` for single answers. Rows of either kind may have the "tools" that were offered, and
a "sample" with "scores": what the named scores of `eval.scores` need to judge other answers to the same prompt.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from prompts.library import TOOL_NAMES
from serving.errors import UserError
from training.alignment.section import AlignmentSection, PreferenceSource
from training.corpus.cleaning import fingerprint
from training.corpus.locations import digest_of, locate
from training.corpus.preferences import KINDS, preferences
from training.corpus.readers import Row, read_rows
from training.corpus.sources import SourceReport
from training.rendering import Renderer

SIDES = {"preference": ("chosen", "rejected"), "answered": ("chosen",), "thumb": ("completion",), "prompt": ()}
"""What an example has beside its prompt, by the shape that a method needs."""
FIELDS = ("prompt", "chosen", "rejected", "completion", "tools", "sample", "scores")
"""What is read of a row; a "label" beside that."""
ROLES = ("system", "developer", "user", "assistant", "tool")
PLENTY = 40_000
"""How many examples a generator without an end is asked for at most: after that, training sees them again."""


class Unusable(Exception):
    """A row that no method can learn from; the text says why."""


class Written(NamedTuple):
    """How many examples stand in each file."""

    training: int
    held_out: int


class Examples:
    """The examples of one section in the shape of one method, as the model's own tokenizer and template write them."""

    def __init__(self, section: AlignmentSection, shape: str, renderer: Renderer, seed: int) -> None:
        self.section, self.shape, self.renderer, self.seed = section, shape, renderer, seed
        self.reports = [SourceReport(name=s.name, licence=s.licence or "not stated") for s in section.sources]

    def write(self, folder: Path, wanted: int) -> Written:
        """Write training.jsonl, with about `wanted` examples if there are as many, and held_out.jsonl.

        Raises `UserError` when there is nothing to learn from.
        """
        self.enough = min(wanted, PLENTY) + self.section.held_out
        examples = self._drawn()
        random.Random(self.seed).shuffle(examples)
        kept = min(self.section.held_out, len(examples) // 5)
        if len(examples) - kept < self.section.batch:
            raise UserError(
                f"The sources hold {len(examples)} usable examples, fewer than a batch of {self.section.batch}"
                f"{self._reasons()}: add more, or lower batch."
            )
        self._check_labels(examples)
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in (("held_out", examples[:kept]), ("training", list(map(_with_noise, examples[kept:])))):
            lines = "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in part)
            (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        return Written(len(examples) - kept, kept)

    def _drawn(self) -> list[dict]:
        """As many of each source as its weight allows: the source that has the fewest for its weight is used up."""
        found = [
            list(self._usable(spec, report)) for spec, report in zip(self.section.sources, self.reports, strict=True)
        ]
        unit = min((len(of) / spec.weight for of, spec in zip(found, self.section.sources, strict=True)), default=0)
        chosen = [of[: round(unit * spec.weight)] for of, spec in zip(found, self.section.sources, strict=True)]
        for report, part in zip(self.reports, chosen, strict=True):
            report.rows = len(part)
        return [example for part in chosen for example in part]

    def _usable(self, spec: PreferenceSource, report: SourceReport) -> Iterator[dict]:
        rng, seen = random.Random(f"{self.seed}/{spec.name}"), set()
        for row in self._rows(spec, report):
            try:
                example = self._example(row, spec, rng)
            except Unusable as reason:
                report.skip(str(reason), row.place)
                continue
            mark = fingerprint(repr(example))
            if mark not in seen:
                seen.add(mark)
                yield example

    def _rows(self, spec: PreferenceSource, report: SourceReport) -> Iterator[Row]:
        if spec.name == "almanac":
            kinds = spec.kinds or KINDS
            if unknown := set(kinds) - set(KINDS):
                raise UserError(
                    f"The almanac has no pairs of the kind {min(unknown)}: name some of {', '.join(KINDS)}."
                )
            share = spec.weight / min(source.weight for source in self.section.sources)
            pairs = preferences(self.seed, kinds, self.renderer.token_count)
            for number, data in enumerate(islice(pairs, round(self.enough * share))):
                yield Row(f"almanac, pair {number}", data)
            return
        files = locate(spec.name)
        if not files:
            raise UserError(f"The source {spec.name} is not there: name a JSONL file, or put one under HOMEGROWN_DATA.")
        report.sha256 = digest_of(files)
        for file in files:
            yield from read_rows(file)

    def _example(self, row: Row, spec: PreferenceSource, rng: random.Random) -> dict:
        data = _in_shape(checked(row), self.shape, rng)
        if self.shape == "thumb" and data.get("label") not in (True, False):
            raise Unusable("rows whose `label` is neither true nor false")
        asked = messages_of(data.get("prompt"))
        prompt, answers = _parted(asked, {side: answer_of(data.get(side)) for side in SIDES[self.shape]})
        tools = data.get("tools")
        texts = {side: self.renderer.exchange(prompt, answer, tools) for side, answer in answers.items()}
        before = next(iter(texts.values()))[0] if texts else self.renderer.exchange(prompt, *answer_of("."), tools)[0]
        example: dict[str, Any] = {"prompt": before} | {side: answer for side, (_, answer) in texts.items()}
        if self.shape == "preference" and example["chosen"] == example["rejected"]:
            raise Unusable("pairs whose two answers are the same")
        self._check_length(example)
        if self.shape == "preference":
            example["noisy"] = rng.random() < spec.noise
        if self.shape == "thumb":
            example["label"] = bool(data["label"])
        return example | {"sample": json.dumps(data.get("sample") or {}), "scores": list(data.get("scores") or ())}

    def _check_length(self, example: dict) -> None:
        lengths = {side: self._length(example[side]) for side in SIDES[self.shape]}
        longest = max(lengths.values(), default=0)
        if longest > self.section.answer_tokens:
            raise Unusable(f"answers over {self.section.answer_tokens} tokens")
        if self._length(example["prompt"]) + max(longest, self.section.answer_tokens) > self.section.context:
            raise Unusable(f"prompts that leave no room for an answer in {self.section.context} tokens")

    def _length(self, text: str) -> int:
        return len(self.renderer.tokenizer.encode(text, add_special_tokens=False).ids)

    def _check_labels(self, examples: Iterable[dict]) -> None:
        if self.shape == "thumb" and len(labels := Counter(example["label"] for example in examples)) < 2:
            only = "good" if labels[True] else "bad"
            raise UserError(f"All answers of the sources are {only}: kto learns from the difference, add others.")

    def _reasons(self) -> str:
        reasons = "; ".join(report.summary() for report in self.reports if report.skipped)
        return f" ({reasons})" if reasons else ""


def _with_noise(example: dict) -> dict:
    """The example to learn from: a noisy one has its sides exchanged. What is held out tells the truth."""
    if not example.get("noisy"):
        return example
    return example | {"chosen": example["rejected"], "rejected": example["chosen"]}


def _in_shape(data: dict, shape: str, rng: random.Random) -> dict:
    """A pair as a single answer, good or bad as chance has it; everything else as it is."""
    if shape != "thumb" or "completion" in data:
        return data
    label = rng.random() < 0.5
    return data | {"completion": data.get("chosen" if label else "rejected"), "label": label}


def checked(row: Row) -> dict:
    """What a row holds; null is as if left out. Raises `Unusable` where a field is not what it must be.

    Its prompt and answers are checked by `messages_of` and `answer_of`.
    """
    if row.data is None:
        raise Unusable(row.problem)
    tools, sample, scores = (row.data.get(name) for name in ("tools", "sample", "scores"))
    if tools is not None and not (_is_list(tools) and all(map(_is_tool, tools))):
        raise Unusable("rows whose `tools` is no list of function schemas or names of our tools")
    if not isinstance(sample or {}, dict):
        raise Unusable("rows whose `sample` is no object")
    if not _is_list(scores or [], str):
        raise Unusable("rows whose `scores` is no list of names")
    try:
        json.dumps([row.data.get(name) for name in FIELDS], ensure_ascii=False).encode()
    except (TypeError, ValueError):
        raise Unusable("rows with half a character (a lone surrogate), or a value that is no JSON") from None
    return row.data


def messages_of(prompt: Any) -> list[dict]:
    """A prompt, given as text or as messages, as messages. Raises `Unusable` where it is none."""
    if prompt is None:
        raise Unusable("rows without a prompt")
    messages = _messages(prompt, "user")
    if not any((message.get("content") or "").strip() for message in messages):
        raise Unusable("empty prompts")
    return messages


def answer_of(said: Any) -> list[dict]:
    """An answer, given as text or as messages with the calls before it, as messages. Raises `Unusable` as well."""
    if not said:
        raise Unusable("rows without an answer")
    return _messages(said, "assistant")


def _messages(said: Any, role: str) -> list[dict]:
    messages = [{"role": role, "content": said}] if isinstance(said, str) else said
    if not _is_list(messages, dict):
        raise Unusable("rows with a prompt or an answer that is neither text nor a list of messages")
    for message in messages:
        _check_message(message)
    return messages


def _check_message(message: dict) -> None:
    """Raises `Unusable` for a message that a chat template cannot write; only calls and results may have no words."""
    role, content, calls = (message.get(key) for key in ("role", "content", "tool_calls"))
    if role not in ROLES:
        raise Unusable(f"rows with a message whose `role` is none of {', '.join(ROLES)}")
    if calls is not None and not (_is_list(calls) and all(map(_is_call, calls))):
        raise Unusable('rows with a tool call that is no {"function": {"name": "...", "arguments": {...}}}')
    is_wordless = content is None and (role == "tool" or (role == "assistant" and calls))
    if not (isinstance(content, str) or is_wordless):
        raise Unusable("rows with a message whose `content` is no text")


def _is_list(value: Any, kind: type = object) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) for one in value)


def _is_tool(tool: Any) -> bool:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    return tool in TOOL_NAMES or (isinstance(function, dict) and isinstance(function.get("name"), str))


def _is_call(call: Any) -> bool:
    """Whether it is one in OpenAI's shape; its arguments are an object, or the text of one."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return False
    return isinstance(function.get("name"), str) and isinstance(function.get("arguments"), (dict, str))


def _parted(prompt: list[dict], answers: dict[str, list[dict]]) -> tuple[list[dict], dict[str, dict]]:
    """The prompt with all that the answers have in common, and of each the message in which they part.

    What follows such a message cannot be compared: it answers another call. Of a single answer it is the last one.
    """
    said = list(answers.values())
    if not said:
        return prompt, {}
    shared = len(said[0]) - 1 if len(said) == 1 else _shared(*said)
    parting = [messages[shared] for messages in said]
    if any(message["role"] == "tool" for message in parting):
        raise Unusable("pairs that part at what a tool returned")
    if any(message["role"] != "assistant" for message in parting):
        raise Unusable("rows with an answer that is not the assistant's")
    if not all(message.get("content") or message.get("tool_calls") for message in parting):
        raise Unusable("rows without an answer")
    return [*prompt, *said[0][:shared]], {side: messages[shared] for side, messages in answers.items()}


def _shared(one: list[dict], other: list[dict]) -> int:
    """How many messages two answers begin with alike, their last ones left out; ids of calls do not count."""
    pairs = zip(one[:-1], other[:-1], strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if _told(a) != _told(b)), min(len(one), len(other)) - 1)


def _told(message: dict) -> tuple:
    calls = [call.get("function", call) for call in message.get("tool_calls") or []]
    return message.get("role"), message.get("content") or "", calls
