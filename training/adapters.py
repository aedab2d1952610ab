"""LoRA: small trained matrices beside frozen ones, merged into them in the end."""

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from training.section import LoraSection


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


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model with its adapters worked into the weights; one without adapters as it is."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model
