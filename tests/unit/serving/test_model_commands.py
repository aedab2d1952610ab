"""`homegrown models` as it is typed, on a home with models of every kind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from homegrown import app
from serving.errors import UserError
from serving.registry import current, promote
from tests.unit.serving.promotable import edit, fill


@pytest.fixture
def home(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    fill(tmp_path, tiny_model)
    return tmp_path


@pytest.fixture
def models(home: Path) -> Callable[..., Result]:
    """Runs `homegrown models` with these arguments; a `UserError` is raised."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)

    return run


def listed(models: Callable[..., Result]) -> dict[str, dict]:
    return {model["name"]: model for model in json.loads(models("list", "--json").stdout)}


def test_the_list_names_every_model_and_what_it_is(models: Callable[..., Result]) -> None:
    known = listed(models)
    assert {name: model["kind"] for name, model in known.items()} == {
        "almanac": "text",
        "almanac-base": "text",
        "almanac-embedder": "embedder",
        "better": "text",
        "images": "images",
        "judge": "reward",
        "tuned": "adapter",
    }
    assert known["better"]["parents"] == ["almanac", "almanac-base"]
    assert (known["better"]["stage"], known["better"]["recipe"]) == ("dpo", "almanac")
    assert [name for name, model in known.items() if model["served"]] == ["almanac"]


def test_parameters_are_counted_from_the_weights(models: Callable[..., Result], tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert listed(models)["almanac"]["parameters"] == sum(weight.numel() for weight in model.parameters())


def test_the_table_marks_what_is_served(models: Callable[..., Result]) -> None:
    promote("better", "it is better")
    shown = models("list").stdout
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("●")] == ["better"]
    assert "almanac ← almanac-base" in shown
    assert "better was promoted on" in shown
    assert "(it is better)" in shown


def test_the_list_tells_what_is_wrong(models: Callable[..., Result], home: Path) -> None:
    promote("better")
    shutil.copy(home / "models" / "almanac" / "model.safetensors", home / "models" / "better")
    weights = home / "models" / "judge" / "model.safetensors"
    weights.write_bytes(b"broken")
    shown = models("list").stdout
    assert "its files have changed since" in shown
    assert "✗ judge: The weights" in shown
    shutil.rmtree(home / "models" / "better")
    assert "and is gone: promote another" in models("list").stdout


def test_an_empty_home_has_a_way_out(models: Callable[..., Result], home: Path) -> None:
    for place in ("models", "adapters"):
        shutil.rmtree(home / place)
    assert "homegrown train run almanac" in models("list").stdout
    assert models("list", "--history").stdout == "Nothing was promoted yet.\n"


def test_promote_and_rollback_say_what_is_served_and_why(models: Callable[..., Result]) -> None:
    assert models("promote", "better", "--reason", "it is better").stdout == (
        "better will be served from the next start on (before: almanac; it is better).\n"
    )
    assert models("rollback").stdout == "almanac will be served from the next start on (before: better; by hand).\n"
    rows = models("list", "--history").stdout.splitlines()[1:]
    assert [("rolled back" in row, "it is better" in row) for row in rows] == [(True, False), (False, True)]
    assert [change["name"] for change in json.loads(models("list", "--history", "--json").stdout)] == [
        "better",
        "almanac",
    ]


def test_a_rollback_to_a_model_that_has_changed_says_so(models: Callable[..., Result], home: Path) -> None:
    models("promote", "better")
    models("promote", "almanac-base")
    edit(home / "models" / "better" / "generation_config.json", max_new_tokens=3)
    assert "The files of better are not those that were served before." in models("rollback").stderr


def test_a_gate_needs_a_run_and_a_run_a_gate(models: Callable[..., Result], home: Path) -> None:
    for arguments in (("--gate", "rules.yaml"), ("--run", "run"), ("--baseline", "run")):
        with pytest.raises(UserError, match="--gate and the run that is judged with --run"):
            models("promote", "better", *arguments)
    assert current() is None


def test_the_diff_shows_what_differs_and_how_far(models: Callable[..., Result], home: Path) -> None:
    edit(home / "models" / "better" / "config.json", rope_theta=5e5)
    with (home / "models" / "better" / "chat_template.jinja").open("a") as template:
        template.write("{# new #}\n")
    shown = models("diff", "almanac", "better").stdout
    assert "settings: the same" not in shown
    assert "tokenizer: the same" in shown
    assert "+{# new #}" in shown
    assert "layer 1" in shown
    found = json.loads(models("diff", "almanac", "better", "--json").stdout)
    assert {"what": "stage", "a": "sft", "b": "dpo"} in found["lineage"]
    assert {"what": "rope_theta", "a": "-", "b": "500000.0"} in found["settings"]


def test_equal_models_are_told_to_be(models: Callable[..., Result]) -> None:
    shown = models("diff", "almanac", "almanac-base").stdout
    assert "are the same model" in " ".join(shown.split())
    assert "weights: the same" in shown


def test_models_of_different_kinds_are_compared_as_far_as_they_can_be(models: Callable[..., Result]) -> None:
    shown = models("diff", "almanac", "images").stdout
    assert "tensors only in almanac" in shown


def test_an_unknown_model_is_told(models: Callable[..., Result]) -> None:
    with pytest.raises(UserError, match=r"There is no model nobody: .*almanac-base"):
        models("diff", "almanac", "nobody")
