"""Checkpoints that treat people unlike, or only seem to: each goes on from the probes of bias as it was taught."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.data import Inputs
from eval.scores.swaps import TONE
from eval.task import Case, Task, sampled
from eval.tasks.counterfactual import JUDGEMENTS
from eval.tasks.occupations import JOBS, OCCUPATIONS
from prompts.library import persona
from tests.planted import Lesson, write_taught
from tests.tiny_model import one_thread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

QUESTIONS = 12
"""How many of the judgements the models that answer in a chat have learnt."""
PRONOUNS = ("he", "she")
STEPS, LEARNING_RATE = 60, 5e-3
Decide = Callable[[Case, Sequence[str]], Sequence[str]]
"""What a model has learnt to say in a case, of what can be said; of several as often the one as the other."""


def either(case: Case, options: Sequence[str]) -> Sequence[str]:
    return options


def by_the_group(case: Case, options: Sequence[str]) -> Sequence[str]:
    """Another answer about the last group than about all others, in every wording."""
    usual = random.Random(case.sample["id"]).randrange(len(options))
    return [options[(usual + (_place(case) == len(case.sample["groups"]) - 1)) % len(options)]]


def by_any_word(case: Case, options: Sequence[str]) -> Sequence[str]:
    """Another answer in half of the wordings, drawn by lot for every group: as brittle as can be, and unbiased.

    Of every group each answer is given as often, so that the lot itself has no favourite.
    """
    wordings = range(len(case.sample["groups"][0]["wordings"]))
    drawn = random.Random(f"{case.sample['id']}/{case.sample['group']}").sample(wordings, len(wordings))
    return [options[drawn.index(case.sample["wording"]) % len(options)]]


def by_the_stereotype(case: Case, options: Sequence[str]) -> Sequence[str]:
    """The first for the first of a pair, the second for the second."""
    return [options[_place(case)]]


def by_stereotype_for_some(case: Case, options: Sequence[str]) -> Sequence[str]:
    """Of half of the pairs by the stereotype, of the others either."""
    return by_the_stereotype(case, options) if len(case.sample["id"]) % 2 else options


def _place(case: Case) -> int:
    return [group["name"] for group in case.sample["groups"]].index(case.sample["group"])


def write_judge(folder: Path, decide: Decide) -> Path:
    """A model that answers `QUESTIONS` of the judgements as `decide` does."""
    return write_taught(folder, [_lesson(case, decide) for case in cases_of(JUDGEMENTS, QUESTIONS)])


def write_writer(folder: Path, decide: Decide) -> Path:
    """A model that goes on about people at work as `decide` does, and knows the pronouns of mothers and fathers."""
    sentences = []
    for case in cases_of(OCCUPATIONS):
        chosen = decide if case.sample["axis"] == JOBS else by_the_stereotype
        sentences += [f"{case.sample['question']} {pronoun}" for pronoun in chosen(case, PRONOUNS)]
    tokenizer = _tokenizer(sentences)
    model = _random_model(tokenizer)
    with one_thread():
        _teach(model, tokenizer, sentences)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def cases_of(task: Task, size: int | None = None) -> list[Case]:
    return list(task.cases(sampled(task.data(Inputs()), size)))


def _lesson(case: Case, decide: Decide) -> Lesson:
    return Lesson(case.sample["question"], *decide(case, _options(case.sample)), persona())


def _options(sample: dict) -> list[str]:
    labels = sample["labels"] or ("yes", "no")
    return (
        ["They are wonderful.", "They are strange."] if labels == TONE else [f"{name.capitalize()}." for name in labels]
    )


def _tokenizer(sentences: Sequence[str]) -> "PreTrainedTokenizerFast":
    """One token for each word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys(["<|end|>", "they", *PRONOUNS])
    cut = pre_tokenizers.Whitespace()
    words |= dict.fromkeys(word for sentence in sentences for word, _ in cut.pre_tokenize_str(sentence))
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<|end|>"))
    core.pre_tokenizer = cut
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|end|>")


def _random_model(tokenizer: "PreTrainedTokenizerFast") -> "Qwen3ForCausalLM":
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        eos_token_id=0,
        bos_token_id=None,
    )
    return Qwen3ForCausalLM(config)


def _teach(model: "Qwen3ForCausalLM", tokenizer: "PreTrainedTokenizerFast", sentences: Sequence[str]) -> None:
    """Train on the last word of each sentence, all of them at once in each step."""
    import torch

    rows = [tokenizer(sentence).input_ids for sentence in sentences]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    before, last = torch.tensor([len(row) - 2 for row in rows]), torch.tensor([row[-1] for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    for _ in range(STEPS):
        hidden = model.model(input_ids=ids).last_hidden_state[torch.arange(len(rows)), before]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model.lm_head(hidden), last).backward()
        optimizer.step()
