"""Prompts worth learning from: those to which the model's own answers earn different rewards.

Where all answers of a group earn the same, their advantages are zero and the step learns nothing from them (dynamic
sampling of DAPO, Yu et al. 2025, arXiv:2503.14476; filtered before training as by Bae et al. 2025, arXiv:2504.03380).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serving.errors import UserError
from training.alignment.rewards import ScoreReward
from training.alignment.section import OnlineSection
from training.alignment.shared_prompts import answer
from training.checkpoints import write_whole

AT_ONCE = 64


def worthwhile(
    section: OnlineSection,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rewards: Sequence[ScoreReward],
    rows: list[dict],
    file: Path,
) -> list[dict]:
    """Of the first `section.tried` of `rows` those whose `section.trials` answers are not all worth the same.

    Found once, by all ranks together, and kept in `file`. Raises `UserError` when they are too few for a batch.
    """
    if not file.exists():
        ranks = PartialState()
        mine = range(ranks.process_index, min(section.tried, len(rows)), ranks.num_processes)
        found = sorted(gather_object(_differing(section, model, tokenizer, rewards, rows, mine)))
        if ranks.is_main_process:
            write_whole(file, json.dumps(found))
        ranks.wait_for_everyone()
    picked = [rows[place] for place in json.loads(file.read_text(encoding="utf-8"))]
    if len(picked) * section.generations < section.batch:
        raise UserError(
            f"Of {min(section.tried, len(rows))} prompts only {len(picked)} get answers of different worth, fewer than "
            "a step needs: raise tried or temperature, or lower batch."
        )
    return picked


@torch.no_grad()
def _differing(
    section: OnlineSection,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rewards: Sequence[ScoreReward],
    rows: list[dict],
    places: Sequence[int],
) -> list[int]:
    ends, found = (tokenizer.eos_token_id, tokenizer.pad_token_id), []
    model.eval()
    for start in range(0, len(places), AT_ONCE):
        part = places[start : start + AT_ONCE]
        ids = tokenizer([rows[place]["prompt"] for place in part], add_special_tokens=False)["input_ids"]
        asked = [place for place in part for _ in range(section.trials)]
        prompts = [prompt for prompt in ids for _ in range(section.trials)]
        answers = answer(model, prompts, section.answer_tokens, *ends, section.temperature)
        samples, named = ([rows[place][column] for place in asked] for column in ("sample", "scores"))
        values = [reward(completion_ids=answers, sample=samples, scores=named) for reward in rewards]
        for number, place in enumerate(part):
            group = slice(number * section.trials, (number + 1) * section.trials)
            if any(len(set(of[group])) > 1 for of in values):
                found.append(place)
    model.train()
    return found
