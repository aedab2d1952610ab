"""The stage that trains adapters beside weights in 4 bits: killed in two processes, and what it leaves."""

import json
from pathlib import Path

from serving.adapters import check_adapter
from serving.model_folder import folder_digest, read_lineage
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights


def test_killed_in_two_processes_it_leaves_the_same_adapter(workshop: Workshop, tiny_model: Path) -> None:
    workshop.recipe |= {"tokenizer": None, "pretrain": None, "base": str(tiny_model), "persona": None, "tools": []}
    workshop.recipe["sft"] |= {
        "processes": 2,
        "row": 1024,
        "batch_tokens": 2048,
        "share_forms": False,
        "lora": {"rank": 8, "quantised": "nf4", "merge": False},
    }
    killed = Workshop(workshop.folder / "killed", workshop.recipe)
    killed.folder.mkdir()
    done = workshop.train("sft")
    assert done.returncode == 0, done.stderr
    kill_after_checkpoint(killed, "sft")
    done = killed.train("sft")
    assert done.returncode == 0, done.stderr
    assert weights(killed, "small") == weights(workshop, "small")
    adapter = workshop.home / "models" / "small"
    check_adapter(adapter, tiny_model)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert (settings["r"], settings["base_model_name_or_path"]) == (8, str(tiny_model))
    lineage = read_lineage(adapter)
    assert (lineage.stage, lineage.parent, lineage.parent_sha256) == ("sft", "tiny", folder_digest(tiny_model))
    assert "library_name: peft" in (adapter / "README.md").read_text()
