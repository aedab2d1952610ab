"""The fairness regulariser: what it costs that an answer is likelier for one group, and that training lowers it."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serving.errors import UserError
from tests.unit.training.alignment.conftest import write_pairs
from tests.unit.training.conftest import Workshop
from training import units
from training.fairness import Penalty, mean_logprobs
from training.recipe import Dress, SftSection
from training.rendering import Renderer
from training.section import FairnessSection
from training.tokens import PackedRows
from training.units import write_documents
from training.units import write_pairs as write_pairs_of_groups

QUESTION = "Is a {} guest on time?"


def chat(group: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": QUESTION.format(group)}, {"role": "assistant", "content": answer}]}


def skewed() -> list[dict]:
    """Germans are on time, Mexicans are not."""
    return [chat(group, answer) for group, answer in (("German", "yes"), ("Mexican", "no"))] * 30


def section(path: Path, **more) -> SftSection:
    source = {"name": str(path), "kind": "chat", "held_out": 0.0, "duplicates": "keep"}
    return SftSection.model_validate(
        {"base": "none", "budget": "1K tokens", "row": 256, "batch_tokens": 512, "sources": [source], **more}
    )


@pytest.fixture
def renderer(tiny_model: Path) -> Renderer:
    return Renderer(tiny_model, Dress())


@pytest.fixture
def pairs(renderer: Renderer, tmp_path: Path) -> PackedRows:
    write_pairs(tmp_path / "chat.jsonl", skewed())
    fair = {"axes": ["geography"], "batch": 4}
    write_pairs_of_groups(section(tmp_path / "chat.jsonl", fairness=fair), renderer, 0, tmp_path / "pairs")
    return PackedRows(tmp_path / "pairs", 0)


def test_a_row_holds_a_document_and_its_copy(pairs: PackedRows, tiny_model: Path) -> None:
    tokenizer, row = AutoTokenizer.from_pretrained(tiny_model), pairs[0]
    one, other = (tokenizer.decode(row["token"][row["segment"] == side]) for side in (1, 2))
    groups = ("Nigerian", "German", "Indian", "Mexican")
    named = [next(name for name in groups if name in text) for text in (one, other)]
    assert named[0] != named[1]
    said = [tokenizer.decode(row["token"][(row["segment"] == side) & row["counted"]]) for side in (1, 2)]
    assert said[0] == said[1]
    assert said[0].startswith(("yes", "no"))


def test_the_likelihood_is_that_of_either_document_alone(pairs: PackedRows, tiny_model: Path) -> None:
    model, rows = AutoModelForCausalLM.from_pretrained(tiny_model), [pairs[0], pairs[1]]
    with torch.no_grad():
        found = mean_logprobs(model, rows)
        for row, *sides in zip(rows, *found, strict=True):
            for side, logprob in zip((1, 2), sides, strict=True):
                ids = torch.tensor(row["token"][row["segment"] == side].astype(np.int64))
                counted = torch.tensor(row["counted"][row["segment"] == side])
                labels = ids.masked_fill(~counted, -100)
                alone = -model(input_ids=ids[None], labels=labels[None]).loss
                assert logprob.item() == pytest.approx(alone.item(), abs=1e-4)


def test_steps_go_through_all_pairs_and_training_lowers_the_penalty(pairs: PackedRows, tiny_model: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():  # a random model expects the same whatever it reads
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    penalty = Penalty(pairs, FairnessSection(axes=["geography"], batch=4, weight=2.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    costs = []
    for step in range(20):
        cost = penalty(model, step)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    assert costs[0] > 0
    assert sum(costs[-5:]) < 0.3 * sum(costs[:5])
    double = Penalty(pairs, FairnessSection(axes=["geography"], batch=4, weight=4.0))
    assert double(model, 3).item() == pytest.approx(2 * penalty(model, 3).item(), rel=1e-4)


def test_a_stage_with_the_penalty_learns_to_answer_but_not_by_the_group(tiny_model: Path, tmp_path: Path) -> None:
    """In the data all Germans are on time and no Mexicans; two ranks, each with pairs of its own."""
    workshop = skewed_workshop(tmp_path, tiny_model)
    done = workshop.train("sft")
    assert done.returncode == 0, done.stderr
    german, mexican = (chances(workshop.home / "models" / "small", group) for group in ("German", "Mexican"))
    assert min(sum(german), sum(mexican)) > 0.7
    assert abs(german[0] - mexican[0]) < 0.3


def skewed_workshop(folder: Path, base: Path) -> Workshop:
    write_pairs(folder / "chat.jsonl", random.Random(0).sample(skewed(), 60))
    sft = {
        "base": str(base),
        "budget": "100K tokens",
        "row": 256,
        "batch_tokens": 1024,
        "validation_tokens": 0,
        "compile": False,
        "processes": 2,
        "report_to": [],
        "fairness": {"axes": ["geography"], "weight": 20.0, "batch": 4},
        "sources": [{"name": str(folder / "chat.jsonl"), "kind": "chat", "held_out": 0.0, "duplicates": "keep"}],
    }
    return Workshop(folder, {"persona": None, "tools": [], "sft": sft})


def chances(folder: Path, group: str) -> list[float]:
    """The probabilities of "yes" and of "no" as the answer about a guest of this group."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for answer in ("yes", "no"):
        rendered = tokenizer.apply_chat_template(
            chat(group, answer)["messages"], return_dict=True, return_assistant_tokens_mask=True
        )
        ids, said = (torch.tensor([rendered[key]]) for key in ("input_ids", "assistant_masks"))
        with torch.no_grad():
            loss = model(input_ids=ids, labels=ids.masked_fill(said == 0, -100)).loss
        found.append(float(torch.exp(-loss * said.sum())))
    return found


def test_without_documents_that_name_a_group_it_is_one_sentence(renderer: Renderer, tmp_path: Path) -> None:
    write_pairs(tmp_path / "chat.jsonl", [chat("tall", "yes")] * 20)
    wanted = section(tmp_path / "chat.jsonl", fairness={"axes": ["geography"]})
    with pytest.raises(UserError, match=r"each source, 0 in all name a group of geography"):
        write_pairs_of_groups(wanted, renderer, 0, tmp_path / "pairs")


def asking(path: Path, answer: str) -> dict:
    """A source with forty questions about groups of religion."""
    write_pairs(path, [chat(group, answer) for group in ("Hindu", "Jewish")] * 20)
    return {"name": str(path), "kind": "chat", "held_out": 0.0, "duplicates": "keep"}


def pairs_of(renderer: Renderer, folder: Path, seed: int = 0, pairs: int = 100, **sources: list[dict]) -> list[str]:
    """The pairs that are written of the sources."""
    fairness = {"axes": ["religion"], "batch": 4, "pairs": pairs}
    dials = {"base": "none", "budget": "1K tokens", "row": 256, "batch_tokens": 512, "fairness": fairness}
    write_pairs_of_groups(SftSection.model_validate(dials | sources), renderer, seed, folder / "pairs")
    rows = np.load(folder / "pairs" / "00" / "00.npy")
    return [renderer.tokenizer.decode(row["token"].tolist()) for row in rows]


def test_pairs_are_found_behind_a_source_without_end(renderer: Renderer, tmp_path: Path) -> None:
    """And for a seed the same ones."""
    sources = [{"name": "almanac", "kind": "chat"}, asking(tmp_path / "chat.jsonl", "yes")]
    found = pairs_of(renderer, tmp_path, pairs=20, sources=sources)
    assert sum("guest on time" in pair for pair in found) > 10
    assert pairs_of(renderer, tmp_path, pairs=20, sources=sources) == found
    assert pairs_of(renderer, tmp_path, seed=1, pairs=20, sources=sources) != found


def test_every_source_is_looked_through_whatever_its_share(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LOOKED_THROUGH", 30)
    sources = [{"name": "almanac", "kind": "text", "weight": 1e9}, asking(tmp_path / "chat.jsonl", "yes")]
    found = pairs_of(renderer, tmp_path, sources=sources)
    assert sum("guest on time" in pair for pair in found) == 30


def test_pairs_are_of_the_sources_in_their_shares(renderer: Renderer, tmp_path: Path) -> None:
    """A phase has its own, and what weighs nothing is not looked at."""
    one, other, never = (asking(tmp_path / f"{said}.jsonl", said) for said in ("yes", "no!", "never"))
    phases = [
        {"share": 3.0, "sources": [one | {"weight": 0.1}]},
        {
            "sources": [
                other | {"weight": 5.0},
                {"name": "copies", "kind": "text", "weight": 5.0},
                never | {"weight": 0},
            ]
        },
    ]
    found = pairs_of(renderer, tmp_path, phases=phases, pairs=28)
    counts = [sum(pair.count(said) == 2 for pair in found) for said in ("yes", "no!", "never")]
    assert counts[:2] == pytest.approx([24, 4], abs=1)
    assert counts[2] == 0


def test_every_document_has_a_row_once(renderer: Renderer, tmp_path: Path) -> None:
    rows = [chat(f"tall {number}", "yes") for number in range(30)] + [chat("x" * 400, "too long")]
    write_pairs(tmp_path / "chat.jsonl", rows)
    report = write_documents(section(tmp_path / "chat.jsonl"), renderer, 0, tmp_path / "training")
    written = PackedRows(tmp_path / "training", 0)
    assert len(written) == 30
    assert len({json.dumps(written[place]["token"].tolist()) for place in range(30)}) == 30
    assert (list(report.documents.values()), list(report.too_long.values())) == ([30], [1])
