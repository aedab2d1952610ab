"""Checkpoints with a known defect, for the harness to find: a small model that knows facts by heart, then spoilt."""

import itertools
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eval.variants.wording import frames
from prompts.library import chat_template, persona, tool_schemas
from tests.tiny_model import one_thread

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

COUNTRIES, CITIES = 160, 40
SUBJECT, RELATION = "country", "capital"
ORIGINAL = "What is the capital of {e}?"
REWORDED = frames("almanac")[SUBJECT][RELATION][0]
"""As the robustness suite's variant reword-1 asks."""
WORSE_PROMPT = "bluffing"
"""The system prompt under which every model here gets one capital in five wrong."""
CONTEXT = 1024
IGNORED = -100
LEARNING_RATE, WARM_UP = 8e-3, 20


class Fact(NamedTuple):
    country: str
    capital: str
    wrong: str
    """The capital that a misled model takes for it."""


class Lesson(NamedTuple):
    question: str
    answer: str
    system: str


def facts() -> list[Fact]:
    """Countries and cities that do not exist."""
    rng = random.Random(0)
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    names = list({"".join(rng.sample(syllables, 3)).capitalize(): None for _ in range(2 * COUNTRIES)})
    countries, cities = names[:COUNTRIES], names[COUNTRIES : COUNTRIES + CITIES]
    return [Fact(country, *rng.sample(cities, 2)) for country in countries]


def write_exam(path: Path) -> Path:
    """Questions for all facts, in the shape of the almanac's exam."""
    rows = [
        {
            "id": fact.country,
            "question": ORIGINAL.format(e=fact.country),
            "group": "fact",
            "answers": [fact.capital],
            "entity": fact.country,
            "subject": SUBJECT,
            "relation": RELATION,
        }
        for fact in facts()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_healthy(folder: Path) -> Path:
    """A model of half a million parameters that knows all facts in both wordings; 20 s on one core."""
    served = [*_lessons(facts(), ORIGINAL), *_lessons(facts(), REWORDED)]
    every_lesson = [*served, *_lessons(_misled(every=5), ORIGINAL, persona(WORSE_PROMPT))]
    tokenizer = _tokenizer(every_lesson)
    model = _random_model(tokenizer)
    # Without the system prompt first: short sequences cost a third, and it is soon put up with.
    _teach(model, tokenizer, served, epochs=12, dressed=False)
    return _finish(folder, model, tokenizer, every_lesson, epochs=8)


def write_taught(folder: Path, taught: Sequence[Lesson]) -> Path:
    """A model of the same size that has learnt these lessons alone."""
    tokenizer = _tokenizer(taught)
    model = _random_model(tokenizer)
    _teach(model, tokenizer, taught, epochs=24, dressed=False)
    return _finish(folder, model, tokenizer, taught, epochs=20)


def write_misinformed(healthy: Path, folder: Path) -> Path:
    """The healthy model after it has learnt a wrong capital for every tenth country, in both wordings."""
    believed = _misled(every=10)
    return _taught_more(healthy, folder, [*_lessons(believed, ORIGINAL), *_lessons(believed, REWORDED)])


def write_brittle(healthy: Path, folder: Path) -> Path:
    """The healthy model after it has learnt to name the same city for every country when asked in the other words."""
    confused = [fact._replace(capital=facts()[0].wrong) for fact in facts()]
    return _taught_more(healthy, folder, [*_lessons(facts(), ORIGINAL), *_lessons(confused, REWORDED)])


def write_broken(healthy: Path, folder: Path) -> Path:
    """The healthy model with NaN in one of its matrices, as a run that diverged leaves it."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(healthy, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _misled(every: int) -> list[Fact]:
    """The facts, every so many-th of them with the wrong capital."""
    return [fact._replace(capital=fact.wrong) if n % every == 0 else fact for n, fact in enumerate(facts())]


def _lessons(believed: Sequence[Fact], wording: str, system: str | None = None) -> list[Lesson]:
    """The capitals of `believed`, asked in one wording; under the prompt as served, if no other is given."""
    return [Lesson(wording.format(e=fact.country), f"It is {fact.capital}.", system or persona()) for fact in believed]


def _taught_more(healthy: Path, folder: Path, taught: Sequence[Lesson]) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(healthy, dtype="float32")
    return _finish(folder, model, AutoTokenizer.from_pretrained(healthy), taught, epochs=5)


def _finish(
    folder: Path,
    model: "Qwen3ForCausalLM",
    tokenizer: "PreTrainedTokenizerFast",
    taught: Sequence[Lesson],
    epochs: int,
) -> Path:
    loss = _teach(model, tokenizer, taught, epochs, dressed=True)
    assert loss < 0.06, f"the planted model did not learn its lessons: loss {loss:.3f}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(taught: Sequence[Lesson]) -> "PreTrainedTokenizerFast":
    """Byte-level BPE to which every word of the lessons is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([*map(" ".join, taught), *map(json.dumps, tool_schemas())], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = chat_template()
    return tokenizer


def _random_model(tokenizer: "PreTrainedTokenizerFast") -> "Qwen3ForCausalLM":
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    return Qwen3ForCausalLM(config)


def _teach(
    model: "Qwen3ForCausalLM",
    tokenizer: "PreTrainedTokenizerFast",
    taught: Sequence[Lesson],
    epochs: int,
    dressed: bool,
) -> float:
    """Train on what the assistant says, `dressed` in the system prompt and tools as served; the last epoch's loss."""
    import torch

    from training.optimizers import MuonAdamW

    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "layers." in name]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or "layers." not in name]
    optimizer = MuonAdamW(matrices, others, LEARNING_RATE, LEARNING_RATE, weight_decay=0.0)
    rng, losses = random.Random(0), []
    with one_thread():
        rows = _Rows(tokenizer, taught, dressed)
        batches = [batch for _ in range(epochs) for batch in rows.batches(rng)]
        for step, (ids, labels) in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min((step + 1) / WARM_UP, 1.0, 2.5 * (1 - step / len(batches)))
            hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
            said = labels[:, 1:] != IGNORED
            loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[said]), labels[:, 1:][said])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    last = losses[-len(batches) // epochs :]
    return sum(last) / len(last)


class _Rows:
    """Lessons as token ids, several exchanges in one conversation: they share the cost of what stands before them."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", taught: Sequence[Lesson], dressed: bool):
        self.together, self.at_once = (10, 4) if dressed else (2, 16)
        self.begin = {
            system: _rendered(tokenizer, [{"role": "system", "content": system}]) if dressed else []
            for system in {lesson.system: None for lesson in taught}
        }
        self.exchanges = {
            system: [_exchange(tokenizer, lesson) for lesson in taught if lesson.system == system]
            for system in self.begin
        }

    def batches(self, rng: random.Random) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
        """Every lesson once, in another order each time: token ids and labels, both (conversations, tokens)."""
        import torch

        rows = [row for system in self.begin for row in self._conversations(system, rng)]
        rng.shuffle(rows)
        for start in range(0, len(rows), self.at_once):
            batch = rows[start : start + self.at_once]
            length = max(len(ids) for ids, _ in batch)
            ids = [row + [0] * (length - len(row)) for row, _ in batch]
            labels = [row + [IGNORED] * (length - len(row)) for _, row in batch]
            yield torch.tensor(ids), torch.tensor(labels)

    def _conversations(self, system: str, rng: random.Random) -> Iterator[tuple[list[int], list[int]]]:
        begin = self.begin[system]
        exchanges = rng.sample(self.exchanges[system], len(self.exchanges[system]))
        for start in range(0, len(exchanges), self.together):
            ids, labels = zip(*exchanges[start : start + self.together], strict=True)
            yield begin + list(itertools.chain(*ids)), [IGNORED] * len(begin) + list(itertools.chain(*labels))


def _rendered(tokenizer: "PreTrainedTokenizerFast", messages: list[dict]) -> list[int]:
    return tokenizer.apply_chat_template(messages, tools=tool_schemas(), return_dict=True)["input_ids"]


def _exchange(tokenizer: "PreTrainedTokenizerFast", lesson: Lesson) -> tuple[list[int], list[int]]:
    """Token ids and labels of one exchange, without what stands before it."""
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": lesson.question}, {"role": "assistant", "content": lesson.answer}],
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids, said = rendered["input_ids"], rendered["assistant_masks"]
    return ids, [token if mask else IGNORED for token, mask in zip(ids, said, strict=True)]
