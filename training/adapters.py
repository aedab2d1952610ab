"""LoRA: small trained matrices beside frozen ones, merged into them in the end."""

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from training.recipe import LoraSection


def lora_config(section: LoraSection) -> LoraConfig:
    """PEFT's settings for a causal language model."""
    return LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=section.target_modules,
        task_type="CAUSAL_LM",
    )


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model with its adapters worked into the weights; one without adapters as it is."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model
