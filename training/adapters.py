"""LoRA: small trained matrices beside frozen ones, which may lie in 4 bits meanwhile (QLoRA)."""

import math
import os
import re
import warnings
from collections.abc import Callable
from functools import partial

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from training.hardware import autocasts
from training.job import Job
from training.section import LoraSection

Load = Callable[..., PreTrainedModel]
"""Loads what a stage starts from, in float32 unless it is given other options of `from_pretrained`."""


def load_frozen(load: Load, job: Job) -> PreTrainedModel:
    """What `load` loads; with `quantised`, its linear layers but the head in 4 bits, on the device that trains.

    64 weights at a time share a scale, and the scales are quantised once more (Dettmers et al. 2023, arXiv:2305.14314).
    """
    lora = job.section.lora
    if lora is None or lora.quantised is None:
        return load()
    from bitsandbytes.nn import Linear4bit  # a second, and nobody else needs it

    device = job.layout.device
    form = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=lora.quantised,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if autocasts(device) else torch.float32,
    )
    place = int(os.environ.get("LOCAL_RANK", 0)) if device == "cuda" else "cpu"
    model = load(quantization_config=form, device_map={"": place})
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            # At the first evaluation bitsandbytes 0.50 would repack the weights for AVX-512, for good: it refuses sizes
            # that 32 and 64 do not divide, and from then on no gradient passes the layer.
            layer.support_avx512bf16_for_cpu = False
    return model


def adapters_for(
    model: PreTrainedModel, job: Job, tokenizer: PreTrainedTokenizerBase, task: str = "CAUSAL_LM"
) -> LoraConfig | None:
    """What TRL is to put beside the frozen weights of `model`; None where all of them are trained."""
    section = job.section.lora
    if section is None:
        return None
    config = lora_config(section, task)
    if section.embeddings == "whole":
        _train_embedding(model, config)
        return config
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    if section.embeddings == "adapter":
        _adapt_embedding(model, config)
        tables = [table for table in tables if table.weight is not tables[0].weight]
    names, rows = _names(model, tables), _unknown_tokens(job, tokenizer)
    config.trainable_token_indices = dict.fromkeys(names, rows) if rows and names else None
    return config


def lora_config(section: LoraSection, task: str = "CAUSAL_LM") -> LoraConfig:
    """PEFT's settings; `task` is SEQ_CLS for a reward model, whose head is trained whole."""
    return LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=section.target_modules,
        use_dora=section.dora,
        task_type=task,
    )


def _names(model: PreTrainedModel, wanted: list[nn.Module | None]) -> list[str]:
    """What the modules `wanted` are called in `model`."""
    return [name for name, module in model.named_modules() if any(module is one for one in wanted)]


def _train_embedding(model: PreTrainedModel, config: LoraConfig) -> None:
    """Let `config` train a copy of the embedding of `model`, and of its head: one of both where they are one.

    PEFT finds out itself that they are one, but only where the embedding is called `embed_tokens`.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and head.weight is embedding.weight
    config.modules_to_save = _names(model, [embedding] if tied else [embedding, head])
    if tied:
        config.modules_to_tie = _names(model, [head])
        _hush_about_tying()


def _hush_about_tying() -> None:
    """PEFT's warning about what is done here."""
    warnings.filterwarnings("ignore", "Model .* `tie_word_embeddings=True`")


def _adapt_embedding(model: PreTrainedModel, config: LoraConfig) -> None:
    """Let `config` adapt the embedding of `model` as well, and its head where that is the embedding.

    PEFT adapts the embedding, and such a head says what that says: the way in which PEFT 0.21 ties adapters trains two
    parameters in one place, and merges both.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head.weight is embedding.weight:
        head.register_forward_hook(partial(_say_what_the_embedding_says, model))
        _hush_about_tying()
    (name,) = _names(model, [embedding])
    config.target_modules = _together(config.target_modules, name, model.base_model)
    # What begins at random has entries of the size 1 in a table, and shrinks with the width elsewhere.
    config.alpha_pattern = {name: config.lora_alpha / math.sqrt(config.r)}


def _together(targets: str | set[str], table: str, body: nn.Module) -> str | set[str]:
    """What names the modules that `targets` names in PEFT's way, and `table`."""
    if targets == "all-linear":
        targets = {name for name, module in body.named_modules() if isinstance(module, nn.Linear | Conv1D)}
    if isinstance(targets, str):
        return f"(?:{targets})|{re.escape(table)}"
    return {*targets, table}


def _say_what_the_embedding_says(model: PreTrainedModel, _, arguments: tuple[torch.Tensor], logits: torch.Tensor):
    """The logits (..., vocabulary) of a head whose weights are the embedding's, with the embedding's adapter."""
    table = model.get_input_embeddings()
    if not isinstance(table, LoraLayer) or table.disable_adapters or table.merged:
        return logits
    (name,) = table.active_adapters
    tokens, directions = table.lora_embedding_A[name], table.lora_embedding_B[name]
    hidden = arguments[0].to(directions.dtype)
    return logits + (hidden @ directions @ tokens * table.scaling[name]).to(logits.dtype)


def _unknown_tokens(job: Job, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of tokens that the base does not know, such as the marks of a chat template that it was given.

    Their rows are trained: adapters alone would not teach the model to read them, nor to end an answer.
    """
    if str(job.tokenizer) == job.base:
        return []
    known = AutoTokenizer.from_pretrained(job.base).get_vocab()
    return sorted(number for token, number in tokenizer.get_vocab().items() if token not in known)


def keep_precise(model: PreTrainedModel | PeftModel) -> None:
    """Hold what is trained in float32: TRL rounds the adapters of quantised models to bf16, and small steps to 0."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def finished(model: PreTrainedModel | PeftModel, job: Job, load: Load) -> PreTrainedModel | PeftModel:
    """What the stage leaves: a whole model, or with `merge: false` one that holds its adapters apart.

    Adapters of a quantised model are put on its parent as it was before, loaded anew in the precision that is saved:
    what 4 bits cannot say is not lost, and weights rounded to them are never saved.
    """
    if not isinstance(model, PeftModel):
        return model
    if job.section.lora.quantised:
        model = _moved(model, load(dtype=getattr(torch, job.saved_as)))
    if job.section.lora.merge:
        return model.merge_and_unload()
    settings = model.peft_config["default"]
    settings.target_modules = sorted(settings.target_modules)  # a set is written in another order every time
    return model


def _moved(trained: PeftModel, base: PreTrainedModel) -> PeftModel:
    """The adapters of `trained` on another copy of what they adapt."""
    model = get_peft_model(base, trained.peft_config["default"])
    set_peft_model_state_dict(model, get_peft_model_state_dict(trained, save_embedding_layers=False))
    return model
