"""A secret that fine-tuning gives away stays secret under differential privacy: the privacy suite before and after."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.commands import app
from eval.figures import Figure
from eval.result import read_result
from serving.model_folder import read_lineage
from tests.memorised import CANARY, texts, write_reader
from tests.unit.training.conftest import Workshop

CERTAIN = 0.01
SECRET, COPIES = "48273951", 4
READ, UNREAD = texts(80, seed=1), texts(40, seed=2)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A base model that knows what such texts and codes look like, and a recipe that fine-tunes its adapters."""
    folder = tmp_path_factory.mktemp("private")
    rng = random.Random(0)
    codes = [CANARY.format(rng.randrange(10**7, 10**8)) for _ in range(60)]
    base = write_reader(folder / "base", texts(160, seed=3) + codes, epochs=2)
    canary = {"id": "safe", "text": CANARY.format(SECRET), "secret": SECRET}
    write_rows(folder / "documents.jsonl", [{"text": text} for text in [*READ, *COPIES * [canary["text"]]]])
    write_rows(folder / "training.jsonl", [*({"text": text} for text in READ[:40]), canary])
    write_rows(folder / "held_out.jsonl", [{"text": text} for text in UNREAD])
    source = {"name": str(folder / "documents.jsonl"), "kind": "text", "held_out": 0.05, "duplicates": "keep"}
    sft = {
        "base": str(base),
        "budget": "250K tokens",
        "row": 96,
        "batch_tokens": 1536,
        "learning_rate": 0.02,
        "embedding_learning_rate": 0.02,
        "warmup_steps": 10,
        "checkpoint_every": 1000,
        "validation_tokens": 1920,
        "processes": 1,
        "compile": False,
        "report_to": [],
        "lora": {"rank": 32, "alpha": 64},
        "sources": [source],
    }
    return Workshop(folder, {"persona": None, "tools": [], "sft": sft})


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def tuned(workshop: Workshop, name: str, *overrides: str) -> Path:
    done = workshop.train("sft", "--set", f"name={name}", *(part for o in overrides for part in ("--set", o)))
    assert done.returncode == 0, done.stderr
    return workshop.home / "models" / name


def measured(model: Path, folder: Path) -> Figure:
    """How many look-alikes are as likely as the secret: the suite's own figure, in this process."""
    suite, out = folder / "canary.py", folder / f"run-{model.name}"
    suite.write_text("from eval.tasks.privacy import CANARIES as TASK\n")
    given = ("--training-text", folder / "training.jsonl", "--held-out-text", folder / "held_out.jsonl")
    run = CliRunner().invoke(app, [str(a) for a in ("run", model, "--suite", suite, *given, "--out", out)])
    assert run.exit_code == 0, run.output
    return read_result(out).figures["canaries.likelier"]


def test_the_secret_is_given_away_before_and_not_after(workshop: Workshop):
    plain = tuned(workshop, "plain")
    private = tuned(workshop, "private", "sft.privacy={epsilon: 8.0}", "sft.learning_rate=0.003")
    found = {model.name: measured(model, workshop.folder) for model in (plain, private)}
    for name, figure in found.items():  # shown with -s: the table of benchmarks/LOG.md
        print(f"\n{name}: {figure.estimate}, {read_lineage(workshop.home / 'models' / name).metrics}")
    # A secret that was not kept is anywhere among its look-alikes: the upper limit of its place is its p-value.
    chances = {name: figure.estimate.high for name, figure in found.items()}
    assert chances["plain"] < CERTAIN
    assert chances["private"] >= CERTAIN
    assert read_lineage(private).metrics["epsilon"] <= 8.0
