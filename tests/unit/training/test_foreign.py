"""Fine-tuning models that were not grown here."""

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from prompts.library import chat_template
from serving.model_folder import check_model_folder
from tests.unit.training.conftest import Workshop


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with a tokenizer of its own, which knows no chat."""
    folder = tmp_path_factory.mktemp("foreign") / "llama"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=2048, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tuned(workshop: Workshop, base: Path | str, *overrides: str) -> Path:
    for section in ("tokenizer", "pretrain"):
        workshop.recipe[section] = None
    workshop.recipe["sft"] |= {"base": str(base), "row": 1024, "batch_tokens": 2048, "budget": "8K tokens"}
    done = workshop.train("run", *(part for override in overrides for part in ("--set", override)))
    assert done.returncode == 0, done.stderr
    return workshop.home / "models" / "small"


def test_a_model_without_a_template_gets_ours(workshop: Workshop, foreign: Path) -> None:
    folder = tuned(workshop, foreign)
    check_model_folder(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == chat_template()
    assert len(tokenizer.encode("<|im_start|>", add_special_tokens=False)) == 1
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.get_input_embeddings().num_embeddings == len(tokenizer) == 260
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 259


def test_a_template_with_marks_is_kept(workshop: Workshop, foreign: Path) -> None:
    own = workshop.folder / "own"
    shutil.copytree(foreign, own)
    said = "{% generation %}{{ m.content or '' }}</s>{% endgeneration %}"
    template = (
        "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}" + said + "{% else %}{{ m.content }}"
    )
    (own / "chat_template.jinja").write_text(template + "{% endif %}{% endfor %}")
    folder = tuned(workshop, own)
    assert (folder / "chat_template.jinja").read_text() == (own / "chat_template.jinja").read_text()
    assert AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().num_embeddings == 258


def test_a_base_that_is_not_there(workshop: Workshop) -> None:
    for section in ("tokenizer", "pretrain"):
        workshop.recipe[section] = None
    workshop.recipe["sft"] |= {"base": "missing"}
    done = workshop.train("run")
    assert done.returncode == 3
    assert "There is no model folder missing" in done.stderr


def test_a_base_without_a_tokenizer(workshop: Workshop, foreign: Path) -> None:
    bare = workshop.folder / "bare"
    shutil.copytree(foreign, bare)
    (bare / "tokenizer.json").unlink()
    for section in ("tokenizer", "pretrain"):
        workshop.recipe[section] = None
    workshop.recipe["sft"] |= {"base": str(bare)}
    done = workshop.train("run")
    assert done.returncode == 3
    assert "tokenizer" in done.stderr
    assert "Traceback" not in done.stderr
