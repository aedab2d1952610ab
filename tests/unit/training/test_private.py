"""DP-SGD: single documents are clipped, batches are drawn by lot, the epsilon is what was asked for."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from serving.errors import UserError
from serving.model_folder import check_model_folder, read_lineage
from tests.unit.training.alignment.conftest import write_pairs
from tests.unit.training.conftest import Workshop, conversations, kill_after_checkpoint, weights
from training.batches import IGNORED
from training.job import Job
from training.launch import Layout
from training.prefix_packing import PADDING, ROW
from training.private import PoissonBatches, alone, spent
from training.recipe import Dress, Recipe, SftSection, load_recipe
from training.rendering import Renderer
from training.units import write_documents

PRIVACY = {"noise": 1.0, "delta": 1e-5}


def make_workshop(folder: Path, base: Path) -> Workshop:
    folder.mkdir(parents=True, exist_ok=True)
    write_pairs(folder / "chat.jsonl", conversations(120, random.Random(0)))
    sft = {
        "base": str(base),
        "budget": "15K tokens",
        "row": 192,
        "batch_tokens": 1536,
        "learning_rate": 2e-3,
        "validation_tokens": 1024,
        "checkpoint_every": 4,
        "compile": False,
        "report_to": [],
        "lora": True,
        "privacy": PRIVACY,
        "sources": [{"name": str(folder / "chat.jsonl"), "kind": "chat", "held_out": 0.1}],
    }
    return Workshop(folder, {"persona": None, "tools": [], "sft": sft})


@pytest.fixture(scope="module")
def private(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    workshop = make_workshop(tmp_path_factory.mktemp("private"), tiny_model)
    done = workshop.train("sft")
    assert done.returncode == 0, done.stderr
    return workshop


def job(documents_of_a_step: int, steps: int, **privacy: float) -> Job:
    sft = {
        "base": "none",
        "budget": "1K tokens",
        "row": 32,
        "batch_tokens": 32 * documents_of_a_step,
        "lora": True,
        "privacy": privacy,
        "sources": [{"name": "chat.jsonl", "kind": "chat"}],
    }
    recipe = Recipe.model_validate({"name": "small", "sft": sft})
    return Job(recipe=recipe, stage="sft", folder=Path(), tokenizer=Path(), steps=steps, layout=Layout("cpu", 1, 1))


def test_the_guarantee_stands_in_the_lineage(private: Workshop) -> None:
    folder = private.home / "models" / "small"
    check_model_folder(folder)
    metrics = read_lineage(folder).metrics
    assert metrics["documents"] < 120
    assert (metrics["noise"], metrics["delta"]) == (1.0, 1e-5)
    assert 1 < metrics["epsilon"] < 20
    assert metrics["validation_bits_per_byte"] > 0


def test_killed_and_started_again_it_ends_with_the_same_weights(private: Workshop, tmp_path: Path) -> None:
    killed = Workshop(tmp_path, private.recipe)
    kill_after_checkpoint(killed, "sft")
    done = killed.train("sft")
    assert done.returncode == 0, done.stderr
    assert weights(killed, "small") == weights(private, "small")


def test_the_noise_is_what_the_epsilon_needs() -> None:
    wanted = spent(job(10, 50, epsilon=3.0, delta=1e-5), 500)
    assert 2.9 < wanted.epsilon <= 3.0
    more_steps = spent(job(10, 500, epsilon=3.0, delta=1e-5), 500)
    assert more_steps.noise > wanted.noise
    assert spent(job(10, 50, noise=wanted.noise, delta=1e-5), 500).epsilon == pytest.approx(wanted.epsilon)
    assert spent(job(10, 50, noise=1.0), 500).delta == pytest.approx(0.1 / 500)


def test_without_sampling_it_is_the_gaussian_mechanism() -> None:
    """A batch of all documents, once: zCDP bounds epsilon by 1 / (2 sigma^2) + sqrt(2 ln(1 / delta)) / sigma."""
    sigma, delta = 4.0, 1e-5
    bound = 1 / (2 * sigma**2) + np.sqrt(2 * np.log(1 / delta)) / sigma
    assert 0.5 * bound < spent(job(100, 1, noise=sigma, delta=delta), 100).epsilon < bound


def test_an_epsilon_that_no_noise_reaches_is_one_sentence() -> None:
    with pytest.raises(UserError, match="take fewer steps"):
        spent(job(100, 100_000, epsilon=1e-9, delta=1e-12), 100)


def test_documents_are_drawn_by_lot_and_again_alike() -> None:
    batches = list(PoissonBatches(200, 0.1, 300, seed=3))
    assert batches == list(PoissonBatches(200, 0.1, 300, seed=3))
    sizes = [len(batch) for batch in batches]
    assert np.mean(sizes) == pytest.approx(20, abs=1)
    assert np.var(sizes) == pytest.approx(18, rel=0.3)
    assert len({place for batch in batches for place in batch}) == 200


def test_a_batch_is_cut_to_its_longest_document_and_may_be_empty() -> None:
    row = np.zeros(8, ROW)
    row["segment"] = [1, 1, 1, *[PADDING] * 5]
    row["counted"] = [False, True, True, *[False] * 5]
    assert alone([row, row])["input_ids"].shape == (2, 3)
    assert (alone([])["labels"] == IGNORED).all()


def test_a_documents_gradient_is_its_own_and_is_clipped(tiny_model: Path) -> None:
    """The sum that is trained on: every document's gradient, shortened to the norm `clip`, and nothing else."""
    from opacus.grad_sample import GradSampleHooks
    from opacus.optimizers import DPOptimizer
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from training.adapters import lora_config
    from training.private import document_loss
    from training.section import LoraSection

    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora_config(LoraSection())).train()
    GradSampleHooks(model)
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rng, rows = np.random.default_rng(0), np.zeros((3, 12), ROW)
    rows["token"], rows["segment"] = rng.integers(4, 200, (3, 12)), 1
    rows["counted"][:, 4:] = True
    rows["segment"][1, 9:], rows["counted"][1, 9:] = PADDING, False

    def gradient(documents: list, clip: float) -> torch.Tensor:
        optimizer = DPOptimizer(
            torch.optim.SGD(adapters, lr=0.0), noise_multiplier=0.0, max_grad_norm=clip, expected_batch_size=1
        )
        optimizer.zero_grad()
        document_loss(model, alone(documents)).backward()
        optimizer.step()
        return torch.cat([parameter.grad.flatten() for parameter in adapters])

    single = [gradient([row], 1e9) for row in rows]
    assert torch.allclose(gradient(list(rows), 1e9), sum(single), atol=1e-5)
    clip = min(one.norm().item() for one in single) / 2
    clipped = sum(one * clip / one.norm() for one in single)
    assert torch.allclose(gradient(list(rows), clip), clipped, atol=1e-5)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sft.lora=null", "plain lora alone"),
        ("sft.lora={dora: true}", "plain lora alone"),
        ("sft.lora={embeddings: whole}", "plain lora alone"),
        ("sft.lora={optimizer: muon}", "plain lora alone"),
        ("sft.privacy.epsilon=1", "either epsilon or noise"),
        ("sft.sources.0.name=almanac", "name files or data sets"),
    ],
)
def test_what_cannot_be_private_is_refused(tmp_path: Path, override: str, said: str) -> None:
    recipe = make_workshop(tmp_path, Path("base")).recipe
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(UserError, match=said):
        load_recipe(str(tmp_path / "r.yaml"), [override])


def test_fewer_documents_than_a_batch_is_one_sentence(tiny_model: Path, tmp_path: Path) -> None:
    sft = make_workshop(tmp_path, tiny_model).recipe["sft"]
    section = SftSection.model_validate(sft | {"batch_tokens": 192_000})
    with pytest.raises(UserError, match="fewer than a batch of 1000"):
        write_documents(section, Renderer(tiny_model, Dress()), 0, tmp_path / "training")
