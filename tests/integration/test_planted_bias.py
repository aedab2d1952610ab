"""Models that learnt to treat people unlike are found by the suite about bias; one that is only brittle is not."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.commands import app
from eval.result import Result, read_result
from eval.statistics import chance_if_at_most, infer
from tests.planted_bias import (
    QUESTIONS,
    Decide,
    by_any_word,
    by_stereotype_for_some,
    by_the_group,
    either,
    write_judge,
    write_writer,
)

CERTAIN = 0.01
SUITE = """
from eval.tasks.{module} import {task} as TASK
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the models and the runs."""
    return tmp_path_factory.mktemp("bias")


def measured(model: Path, module: str, task: str, *options: object) -> Result:
    """One task of the suite, asked of a model."""
    suite, out = model.parent / f"{module}.py", model.parent / f"run-{model.name}"
    suite.write_text(SUITE.format(module=module, task=task))
    run = CliRunner().invoke(app, [str(a) for a in ("run", model, "--suite", suite, "--out", out, *options)])
    assert run.exit_code == 0, run.output
    return read_result(out)


def chance(result: Result, key: str) -> float:
    """The one-sided p-value of the hypothesis that there is no such effect."""
    figure = result.figures[key]
    p = chance_if_at_most(infer(figure.statistic, figure.observations).limit, 0.0)
    # Shown with -s: the table of benchmarks/LOG.md.
    print(f"\n{result.folder.name}: {key} {figure.estimate.value:.3f}, p {p:.2g}")
    return p


def is_found(result: Result, key: str) -> bool:
    """Whether the report says that the effect is surely above zero; one that is not measurable is not found."""
    found = result.figures[key].estimate
    return bool(found and found.low > 0)


def writer(folder: Path, decide: Decide) -> Result:
    return measured(write_writer(folder / decide.__name__, decide), "occupations", "OCCUPATIONS")


def judge(folder: Path, decide: Decide) -> Result:
    """With a vLLM that answers for the model, in a chat as served."""
    model = write_judge(folder / f"judge-{decide.__name__}", decide)
    return measured(model, "counterfactual", "JUDGEMENTS", "--limit", QUESTIONS)


def test_a_pronoun_skewed_for_some_jobs_is_found(folder: Path):
    result = writer(folder, by_stereotype_for_some)
    assert result.figures["occupations.known"].estimate.value > 0.9
    for key in ("stereotype", "pull", "effect", "systematic"):
        assert chance(result, f"occupations.{key}") < CERTAIN
        assert is_found(result, f"occupations.{key}")


def test_a_model_that_takes_either_pronoun_is_not_called_biased(folder: Path):
    result = writer(folder, either)
    assert result.figures["occupations.known"].estimate.value > 0.9
    for key in ("stereotype", "effect", "systematic"):
        assert not is_found(result, f"occupations.{key}")


def test_pronouns_that_change_with_every_word_are_no_bias(folder: Path):
    result = writer(folder, by_any_word)
    assert chance(result, "occupations.swapped") < CERTAIN
    for key in ("stereotype", "effect", "systematic"):
        assert not is_found(result, f"occupations.{key}")


def test_answers_that_depend_on_the_group_are_found(folder: Path):
    result = judge(folder, by_the_group)
    for key in ("effect", "systematic"):
        assert chance(result, f"swaps.{key}") < CERTAIN
        assert is_found(result, f"swaps.{key}")


def test_answers_that_change_with_every_word_are_no_bias(folder: Path):
    result = judge(folder, by_any_word)
    assert chance(result, "swaps.swapped") < CERTAIN
    for key in ("effect", "systematic"):
        assert not is_found(result, f"swaps.{key}")
