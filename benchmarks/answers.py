"""A step of reinforcement learning on a small model: prompts read once for all answers, against once for each.

    python benchmarks/answers.py [MODEL]

Both sample eight answers to each of sixteen prompts of the almanac and take a gradient through their likelihoods. The
peer does it as TRL's trainers do, with `generate` and a forward pass over whole sequences. CPU seconds of one thread.
"""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serving.model_folder import resolve_model
from training import attention
from training.alignment.shared_prompts import answer, log_probabilities
from training.corpus.preferences import preferences
from training.recipe import load_recipe
from training.rendering import Renderer

PROMPTS, ANSWERS, LONGEST, ROUNDS = 16, 8, 48, 5


def main(name: str) -> None:
    torch.set_num_threads(1)
    folder = resolve_model(name)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    attention.register()
    model.set_attn_implementation(attention.NAME)
    prompts = [ids for ids in _prompts(folder, tokenizer) for _ in range(ANSWERS)]
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    torch.manual_seed(0)
    answers = answer(model, prompts, LONGEST, end, pad, 1.0)
    ids, mask, width = _padded(prompts, answers, pad)

    def shared_step() -> None:
        found, _ = log_probabilities(model, ids, mask, width, 1.0)
        (found * mask[:, -width:]).sum().backward()

    def whole_step() -> None:
        scores = model(input_ids=ids, attention_mask=mask).logits[:, -width - 1 : -1].log_softmax(-1)
        (scores.gather(-1, ids[:, -width:, None])[..., 0] * mask[:, -width:]).sum().backward()

    def generate() -> None:
        before = ids[:, :-width]
        model.generate(
            input_ids=before, attention_mask=mask[:, :-width], max_new_tokens=LONGEST, do_sample=True, temperature=1.0
        )

    rows = [
        ("sampling", lambda: answer(model, prompts, LONGEST, end, pad, 1.0), generate),
        ("likelihoods and gradient", shared_step, whole_step),
    ]
    print(f"{PROMPTS} prompts x {ANSWERS} answers, {name}, CPU seconds, median of {ROUNDS}")
    print(f"{'':26}{'ours':>8}{'peer':>8}{'ratio':>8}")
    for label, ours, peer in rows:
        pairs = [(_cpu_seconds(ours, model), _cpu_seconds(peer, model)) for _ in range(ROUNDS + 1)][1:]
        mine, theirs = (median(side) for side in zip(*pairs, strict=True))
        print(f"{label:26}{mine:8.2f}{theirs:8.2f}{theirs / mine:8.2f}")


def _prompts(folder: str, tokenizer) -> list[list[int]]:
    renderer = Renderer(Path(folder), load_recipe("almanac").chat_dress())
    asked = (pair["prompt"] for pair in itertools.islice(preferences(seed=1), PROMPTS))
    texts = [renderer.exchange(prompt, {"role": "assistant", "content": "."})[0] for prompt in asked]
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def _padded(prompts: list[list[int]], answers: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Token ids and mask (answers, tokens), padded left of prompts and right of answers; and the answers' width."""
    left, right = max(map(len, prompts)), max(map(len, answers))
    pairs = list(zip(prompts, answers, strict=True))
    ids = [[pad] * (left - len(p)) + p + a + [pad] * (right - len(a)) for p, a in pairs]
    mask = [[0] * (left - len(p)) + [1] * (len(p) + len(a)) + [0] * (right - len(a)) for p, a in pairs]
    return torch.tensor(ids), torch.tensor(mask), right


def _cpu_seconds(work: Callable[[], object], model: torch.nn.Module) -> float:
    began = time.process_time()
    work()
    seconds = time.process_time() - began
    model.zero_grad()
    return seconds


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "almanac")
