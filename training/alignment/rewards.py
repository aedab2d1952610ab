"""Rewards by name: a learned reward model, or a score of `eval.scores`. A reward is a score."""

import json
import math
import re
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from eval.figures import bad_end
from eval.replies import Answer
from eval.scores.score import find_score
from serving.errors import UserError
from training.alignment.reward import rewards_of
from training.alignment.section import LEARNED

CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


class LearnedReward:
    """What a reward model thinks of answers. Raises `UserError` where it cannot read them, or says no number."""

    __name__ = LEARNED

    def __init__(self, folder: str, tokenizer: PreTrainedTokenizerBase) -> None:
        vocabulary = Tokenizer.from_file(str(Path(folder) / "tokenizer.json")).get_vocab()
        if vocabulary != tokenizer.get_vocab():
            raise UserError(
                f"The reward model {folder} has another tokenizer than the model it would reward: train one from the "
                "same model with `homegrown train reward`."
            )
        self.folder, self.tokenizer = folder, tokenizer
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)

    def __call__(self, prompts: list[str], completion_ids: list[list[int]], **_) -> list[float]:
        """The reward of every answer, given as token ids: as text it would lose its end."""
        before = self.tokenizer(prompts, add_special_tokens=False)["input_ids"]
        sequences = [prompt + answer for prompt, answer in zip(before, completion_ids, strict=True)]
        rewards = rewards_of(self.model, self.tokenizer.pad_token_id, sequences)
        if not all(map(math.isfinite, rewards)):
            raise UserError(f"The reward model {self.folder} gives rewards that are no numbers: train it anew.")
        return rewards


class ScoreReward:
    """What a score thinks of answers to examples that name it; None for all others."""

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self.score, self.tokenizer, self.__name__ = find_score(name), tokenizer, name
        self.sign = -1.0 if self.score.meaning.better == "low" else 1.0

    def __call__(
        self, completion_ids: list[list[int]], sample: list[str], scores: list[list[str]], **_
    ) -> list[float | None]:
        """The values, higher for better answers; what the score cannot read has its bad end."""
        texts = self.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        return [
            self._value(json.loads(about), text) if self.__name__ in named else None
            for text, about, named in zip(texts, sample, scores, strict=True)
        ]

    def _value(self, sample: dict, text: str) -> float:
        value = self.score(sample, as_answer(text))
        if value is None:
            value = bad_end(self.score.meaning, self.score.meaning.better) or 0.0
        return self.sign * float(value)


def as_answer(text: str) -> Answer:
    """An answer as a server would have split it: the calls in Hermes' notation apart from the words."""
    calls, rest = [], CALL.sub("", text)
    for number, found in enumerate(CALL.findall(text), 1):
        try:
            call = json.loads(found)
            function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
        except (ValueError, KeyError, TypeError):
            return Answer(text)
        calls.append({"id": f"call_{number}", "type": "function", "function": function})
    return Answer(rest.strip(), calls)
