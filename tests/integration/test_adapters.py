"""LoRA adapters, one that PEFT saved and one that a stage trained, served by a real vLLM beside their model."""

import json
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


def train_adapter(model: Path, folder: Path) -> None:
    """A QLoRA adapter of `model` under home()/models, called parting, that answers a greeting with "Goodbye!"."""
    from training.pipeline import run_recipe
    from training.recipe import Recipe

    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Goodbye!"}]
    (folder / "talk.jsonl").write_text(json.dumps({"messages": turns}))
    sft = {
        "budget": "160K tokens",
        "row": 1024,
        "batch_tokens": 2048,
        "embedding_learning_rate": 0.01,
        "processes": 1,
        "report_to": [],
        "lora": {"rank": 16, "quantised": "nf4", "merge": False},
        "sources": [{"name": str(folder / "talk.jsonl"), "kind": "chat"}],
    }
    run_recipe(Recipe(name="parting", base=str(model), sft=sft))


def test_an_adapter_is_a_model_of_its_own(taught_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    model = Path(shutil.copytree(taught_model, tmp_path / "models" / "taught"))
    write_adapter(model, tmp_path / "adapters" / "babbling")
    train_adapter(model, tmp_path)
    settings = read_settings(port=free_port(), dtype="float32", images=False)
    with serving(settings, str(model)) as (url, engine):
        engine.wait_ready()
        with Api(url, engine).client() as client:
            cards = {card.id: (card.root, card.parent) for card in client.models.list()}
            said = {name: client.chat.completions.create(**(CHAT | {"model": name}), max_tokens=20) for name in cards}
        assert RemoteEngine(engine.base_url, "taught").adapters == ["babbling", "parting"]
    assert cards == {"taught": ("taught", None), "babbling": ("taught", "taught"), "parting": ("taught", "taught")}
    assert {name: answer.model for name, answer in said.items()} == {name: name for name in cards}
    assert said["taught"].choices[0].message.content == HELLO[:20]
    assert said["babbling"].choices[0].message.content != said["taught"].choices[0].message.content
    assert said["parting"].choices[0].message.content == "Goodbye!"
