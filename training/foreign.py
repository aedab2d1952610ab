"""Fine-tuning a model that was not grown here: its tokenizer and chat template, made fit for training."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from trl.chat_template_utils import get_training_chat_template

from prompts.library import chat_template
from serving.errors import UserError
from training.rendering import GENERATION
from training.tokenizer import TURN_END, TURN_START

TRAINING_TEMPLATE = "training_template.jinja"


def main(path: Path) -> None:
    """Save the tokenizer of the job's model in the job's folder, with a template that marks what the assistant says.

    Where TRL knows the model's own template with such marks, it is used in training alone and the model keeps its own.
    Otherwise, and where there is none, the model gets ours.
    """
    job = json.loads(path.read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    tokenizer = load_tokenizer(job["model"])
    if tokenizer.chat_template and GENERATION.search(tokenizer.chat_template):
        tokenizer.save_pretrained(folder)
        return
    training_template = _known_to_trl(tokenizer)
    if training_template is None:
        _give_ours(tokenizer, job["model"])
    tokenizer.save_pretrained(folder)
    if training_template is not None:
        (folder / TRAINING_TEMPLATE).write_text(training_template, encoding="utf-8")


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or Hugging Face id. Raises `UserError` when there is none, or only a slow one."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The tokenizer of {name} cannot be loaded ({reason}): check the name in sft.base.") from None
    if not tokenizer.is_fast:
        raise UserError(f"{name} has no tokenizer.json, which training needs: name another model in sft.base.")
    return tokenizer


def _known_to_trl(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if not tokenizer.chat_template:
        return None
    try:
        return get_training_chat_template(tokenizer)
    except ValueError:
        return None


def _give_ours(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    why = "does not mark what the assistant says" if tokenizer.chat_template else "is missing"
    print(f"sft  the chat template of {name} {why}: the new model gets ours (prompts/chat/template.jinja)", flush=True)
    tokenizer.chat_template = chat_template()
    missing = [token for token in (TURN_START, TURN_END) if token not in tokenizer.get_vocab()]
    tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
    tokenizer.eos_token = TURN_END
