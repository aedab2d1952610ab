"""Fine-tuning a model that was not grown here: its tokenizer and chat template, made fit for training."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from trl.chat_template_utils import get_training_chat_template

from prompts.library import chat_template
from serving.errors import UserError
from training.rendering import GENERATION, REFUSALS, one_template
from training.tokenizer import TURN_END, TURN_START
from training.turns import tells_answers

TRAINING_TEMPLATE = "training_template.jinja"


def main(path: Path) -> None:
    """Save the tokenizer of the job's model in the job's folder, with a template that tells what the assistant says.

    The model keeps its own template where that can be told: it marks answers, or TRL knows it with such marks, which
    are then used in training alone, or each answer ends with the end token and what was written before stays as it was.
    Otherwise, and where there is none, the model gets ours. Raises `UserError` when the job says that it must not.
    """
    job = json.loads(path.read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    tokenizer = load_tokenizer(job["model"])
    if _is_marked(tokenizer):
        tokenizer.save_pretrained(folder)
    elif training_template := _known_to_trl(tokenizer):
        tokenizer.save_pretrained(folder)
        (folder / TRAINING_TEMPLATE).write_text(training_template, encoding="utf-8")
    else:
        if not _tells_answers(tokenizer):
            _give_ours(tokenizer, job["model"], job["keep"])
        tokenizer.save_pretrained(folder)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or Hugging Face id, with one chat template at most.

    Raises `UserError` when there is none, or only a slow one.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The tokenizer of {name} cannot be loaded ({reason}): check the name of the base.") from None
    if not tokenizer.is_fast:
        raise UserError(f"{name} has no tokenizer.json, which training needs: name another base.")
    tokenizer.chat_template = one_template(tokenizer.chat_template)
    return tokenizer


def _is_marked(tokenizer: PreTrainedTokenizerBase) -> bool:
    return bool(tokenizer.chat_template) and GENERATION.search(tokenizer.chat_template) is not None


def _known_to_trl(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if not tokenizer.chat_template:
        return None
    try:
        return get_training_chat_template(tokenizer)
    except (ValueError, *REFUSALS):  # it tries the template on a tool call
        return None


def _tells_answers(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether `training.turns` finds the answers that the tokenizer's own template writes."""
    if not tokenizer.chat_template or tokenizer.eos_token is None:
        return False

    def write(messages: list[dict], tools: list[dict] | None, ask: bool) -> str:
        return tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=ask, tokenize=False)

    try:
        return tells_answers(write, tokenizer.eos_token)
    except REFUSALS:
        return False


def _give_ours(tokenizer: PreTrainedTokenizerBase, name: str, keep: bool) -> None:
    why = "does not tell what the assistant says" if tokenizer.chat_template else "is missing"
    if keep:
        raise UserError(
            f"The chat template of {name} {why}, and an adapter cannot bring one: leave out `merge: false`, "
            "so that the new model gets ours."
        )
    print(f"sft  the chat template of {name} {why}: the new model gets ours (prompts/chat/template.jinja)", flush=True)
    tokenizer.chat_template = chat_template()
    missing = [token for token in (TURN_START, TURN_END) if token not in tokenizer.get_vocab()]
    tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
    tokenizer.eos_token = TURN_END
