"""Over-optimisation: the reward still rises while what it stands for falls. Stops training, and keeps good weights.

The quality that is watched is the mean of named scores over greedy answers to held-out prompts, so it is never the
reward model's own opinion. Kept are the last weights that were not worse than the best by more than is tolerated: among
looks that differ by less, the best is chance, and what was learnt after it would be thrown away.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from accelerate import PartialState
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from training.alignment.rewards import ScoreReward
from training.alignment.section import OnlineSection
from training.alignment.shared_prompts import answer
from training.checkpoints import write_whole
from training.trainer import is_first_rank

AT_ONCE = 128
WEIGHTS, LOOKS = "kept.safetensors", "looks.json"


class Watch(TrainerCallback):
    """Looks at the quality every so many steps. `rows` are held-out examples, `folder` is where good weights go."""

    def __init__(
        self, section: OnlineSection, tokenizer: PreTrainedTokenizerBase, rows: Sequence[dict], folder: Path
    ) -> None:
        self.section, self.tokenizer, self.rows, self.folder = section, tokenizer, rows, folder
        self.scores = [ScoreReward(name, tokenizer) for name in section.quality]
        self.looks: list[tuple[int, float]] = []

    @property
    def least(self) -> float:
        """The quality that is still as good as the best so far."""
        return max(quality for _, quality in self.looks) - self.section.tolerance

    @property
    def kept(self) -> float:
        """The quality of the weights that are kept."""
        return next(quality for _, quality in reversed(self.looks) if quality >= self.least)

    @property
    def is_falling(self) -> bool:
        """Whether the last looks were all worse than the best by more than is tolerated."""
        last = [quality for _, quality in self.looks[-self.section.patience :]]
        return len(last) == self.section.patience and max(last) < self.least

    def go_on_from(self, checkpoint: Path | None) -> None:
        """Take up what an interrupted run had seen by its last checkpoint, or begin anew."""
        if checkpoint:
            self.looks = [tuple(look) for look in json.loads((checkpoint / LOOKS).read_text(encoding="utf-8"))]
        if not is_first_rank():  # one of them writes, and restores
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if checkpoint:
            for name in (WEIGHTS, LOOKS):
                os.link(checkpoint / name, self.folder / name)

    def add_to_checkpoint(self, checkpoint: Path) -> None:
        """Links instead of copies: the weights are written to a new file each time."""
        for name in (WEIGHTS, LOOKS):
            os.link(self.folder / name, checkpoint / name)

    def on_train_begin(self, args, state, control, model=None, **_) -> None:
        if not self.looks:
            self._look(0, model)

    def on_step_end(self, args, state, control, model=None, **_) -> None:
        if state.global_step % self.section.check_every == 0 or state.global_step == state.max_steps:
            self._look(state.global_step, model)
            if self.is_falling:
                control.should_training_stop = True

    def restore(self, model: PreTrainedModel) -> None:
        """Put back the weights that were kept."""
        model.load_state_dict(load_file(self.folder / WEIGHTS), strict=False)

    def _look(self, step: int, model: PreTrainedModel) -> None:
        quality = self._quality(model)
        self.looks.append((step, quality))
        if not is_first_rank():
            return
        if quality >= self.least:
            trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
            unfinished = self.folder / f"{WEIGHTS}.part"
            save_file({name: weight.detach().cpu().contiguous() for name, weight in trained.items()}, unfinished)
            unfinished.replace(self.folder / WEIGHTS)
        write_whole(self.folder / LOOKS, json.dumps(self.looks))

    def _quality(self, model: PreTrainedModel) -> float:
        values, ranks = [], PartialState()
        mine = self.rows[ranks.process_index :: ranks.num_processes]
        for start in range(0, len(mine), AT_ONCE):
            part = mine[start : start + AT_ONCE]
            answers = greedy_answers(model, self.tokenizer, [row["prompt"] for row in part], self.section.answer_tokens)
            samples, named = [row["sample"] for row in part], [row["scores"] for row in part]
            for score in self.scores:
                values += [v for v in score(completion_ids=answers, sample=samples, scores=named) if v is not None]
        return fmean(gather_object(values))


def greedy_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[str], longest: int
) -> list[list[int]]:
    """The token ids of the model's most likely answers, their end token included."""
    was_training = model.training
    model.eval()
    ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    answers = answer(model, ids, longest, tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.train(was_training)
    return answers
