"""The stage that trains adapters beside weights in 4 bits: killed in two processes, and what it leaves."""

import json
from pathlib import Path

from transformers import AutoModelForCausalLM

from serving.adapters import check_adapter
from serving.model_folder import folder_digest, read_lineage
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights


def qlora(workshop: Workshop, base: Path, **lora: object) -> Workshop:
    """The fine-tuning of `base` in two processes, with its weights in 4 bits."""
    workshop.recipe |= {"tokenizer": None, "pretrain": None, "base": str(base), "persona": None, "tools": []}
    settings = {"rank": 8, "quantised": "nf4"} | lora
    workshop.recipe["sft"] |= {"processes": 2, "row": 1024, "batch_tokens": 2048, "lora": settings}
    return workshop


def killed_and_trained(workshop: Workshop) -> None:
    """Train, and once more with a SIGKILL on the way: the weights are the same to the bit."""
    killed = Workshop(workshop.folder / "killed", workshop.recipe)
    killed.folder.mkdir()
    done = workshop.train("sft")
    assert done.returncode == 0, done.stderr
    kill_after_checkpoint(killed, "sft")
    done = killed.train("sft")
    assert done.returncode == 0, done.stderr
    assert weights(killed, "small") == weights(workshop, "small")


def test_killed_in_two_processes_it_leaves_the_same_adapter(workshop: Workshop, tiny_model: Path) -> None:
    killed_and_trained(qlora(workshop, tiny_model, merge=False))
    adapter = workshop.home / "models" / "small"
    check_adapter(adapter, tiny_model)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert (settings["r"], settings["base_model_name_or_path"]) == (8, str(tiny_model))
    lineage = read_lineage(adapter)
    assert (lineage.stage, lineage.parent, lineage.parent_sha256) == ("sft", "tiny", folder_digest(tiny_model))
    assert "library_name: peft" in (adapter / "README.md").read_text()


def test_killed_in_two_processes_it_leaves_the_same_embedding(workshop: Workshop, tiny_model: Path) -> None:
    """Every row of it was trained, those of words that were not read too: other forms of them were, or the head."""
    killed_and_trained(qlora(workshop, tiny_model, embeddings="whole", optimizer="muon"))
    folders = workshop.home / "models" / "small", tiny_model
    learnt, before = (AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight for folder in folders)
    assert (learnt != before).any(1).float().mean() > 0.99
