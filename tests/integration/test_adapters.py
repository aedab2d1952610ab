"""A LoRA adapter that PEFT saved, served by a real vLLM beside its model."""

import shutil
from pathlib import Path

import pytest

from serving.engine import RemoteEngine, free_port
from serving.serve import serving
from serving.settings import read_settings
from tests.conftest import Api
from tests.wire import CHAT, HELLO


def write_adapter(model: Path, folder: Path) -> Path:
    """An adapter of random weights, strong enough to be heard."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(folder)
    return folder


def test_an_adapter_is_a_model_of_its_own(taught_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    model = Path(shutil.copytree(taught_model, tmp_path / "models" / "taught"))
    write_adapter(model, tmp_path / "adapters" / "babbling")
    settings = read_settings(port=free_port(), dtype="float32", images=False)
    with serving(settings, str(model)) as (url, engine):
        engine.wait_ready()
        with Api(url, engine).client() as client:
            cards = {card.id: (card.root, card.parent) for card in client.models.list()}
            said = {name: client.chat.completions.create(**(CHAT | {"model": name}), max_tokens=20) for name in cards}
        assert RemoteEngine(engine.base_url, "taught").adapters == ["babbling"]
    assert cards == {"taught": ("taught", None), "babbling": ("taught", "taught")}
    assert {name: answer.model for name, answer in said.items()} == {"taught": "taught", "babbling": "babbling"}
    assert said["taught"].choices[0].message.content == HELLO[:20]
    assert said["babbling"].choices[0].message.content != said["taught"].choices[0].message.content
