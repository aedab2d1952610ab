"""The privacy suite finds texts and a secret that a model learnt by heart; what was not read raises nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.commands import app
from eval.result import Result, read_result
from eval.statistics import chance_if_at_most, infer
from tests.memorised import CANARY, texts, write_reader

CERTAIN = 0.01
SECRET = "48273951"
READ, UNREAD = texts(60, seed=1), texts(60, seed=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the models, the texts and the runs."""
    folder = tmp_path_factory.mktemp("privacy")
    canary = {"id": "safe", "text": CANARY.format(SECRET), "secret": SECRET}
    write_rows(folder / "training.jsonl", [*({"text": text} for text in READ), canary])
    write_rows(folder / "held_out.jsonl", [{"text": text} for text in UNREAD])
    return folder


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(model: Path, folder: Path) -> Result:
    """The whole suite, in this process."""
    out = folder / f"run-{model.name}"
    texts = ("--training-text", folder / "training.jsonl", "--held-out-text", folder / "held_out.jsonl")
    run = CliRunner().invoke(app, [str(a) for a in ("run", model, "--suite", "privacy", *texts, "--out", out)])
    assert run.exit_code == 0, run.output
    return read_result(out)


def chance(result: Result, key: str, of_no_effect: float) -> float:
    """The one-sided p-value of the hypothesis that nothing was kept."""
    figure = result.figures[key]
    p = chance_if_at_most(infer(figure.statistic, figure.observations).limit, of_no_effect)
    # Shown with -s: the table of benchmarks/LOG.md.
    print(f"\n{result.folder.name}: {key} {figure.estimate.value:.3f}, p {p:.2g}")
    return p


def chances(result: Result) -> dict[str, float]:
    # A secret that was not kept is anywhere among its look-alikes: the upper limit of its place is its p-value.
    likelier = result.figures["canaries.likelier"]
    return {
        "extraction.verbatim": chance(result, "extraction.verbatim", 0.0),
        "extraction.duplicates.training": chance(result, "extraction.duplicates.training", 0.05),
        "membership.loss.auroc": chance(result, "membership.loss.auroc", 0.5),
        "membership.min_k.auroc": chance(result, "membership.min_k.auroc", 0.5),
        "canaries.likelier": likelier.estimate.high,
    }


def test_what_was_learnt_by_heart_is_found(folder: Path):
    model = write_reader(folder / "by-heart", READ + 4 * [CANARY.format(SECRET)], epochs=60)
    result = measured(model, folder)
    assert {key: p for key, p in chances(result).items() if p >= CERTAIN} == {}
    # The control is what makes it a finding: unseen texts of the same kind are not gone on with.
    assert result.figures["extraction.verbatim.held-out"].estimate.value == 0
    assert result.figures["extraction.duplicates.held-out"].estimate.value == 0


def test_what_was_not_read_raises_nothing(folder: Path):
    result = measured(write_reader(folder / "unread", texts(480, seed=3), epochs=1), folder)
    assert {key: p for key, p in chances(result).items() if p < CERTAIN} == {}
