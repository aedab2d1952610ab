"""What a promotion asks of a run: that it is of this very model, and keeps the rules."""

import json

import pytest

from eval.model_gate import NotPassedError, passed
from serving.errors import UserError
from tests.unit.eval.almanac_runs import replies

SHA256 = "a" * 64
RULE = "rules: [almanac.fact.right >= {}]"


@pytest.fixture
def run(run_of):
    """A run of 50 right answers of 60, of a model whose folder has the digest SHA256."""
    folder = run_of("run", replies(50))
    identity = json.loads((folder / "run.json").read_text()) | {"model_sha256": SHA256}
    (folder / "run.json").write_text(json.dumps(identity))
    return folder


@pytest.fixture
def rules(tmp_path):
    """Writes a file with one rule about the share of right answers."""

    def write(bound):
        path = tmp_path / "rules.yaml"
        path.write_text(RULE.format(bound))
        return path

    return write


def test_a_run_that_keeps_the_rules_is_told_in_a_clause(run, rules, run_of):
    assert passed(rules("0.5"), run, None, SHA256) == "gate rules.yaml: all 2 rules kept by run"
    told = passed(rules("baseline - 0.1"), run, run_of("before", replies(50)), SHA256)
    assert told == "gate rules.yaml: all 3 rules kept by run against before"


@pytest.mark.parametrize(("bound", "verdict", "exit_code"), [("0.99", "regression", 1), ("0.83", "inconclusive", 3)])
def test_one_that_does_not_says_which_and_exits_as_the_gate_does(run, rules, bound, verdict, exit_code):
    said = rf"not promoted, {verdict}: almanac\.fact\.right >= {bound} \(0\.8"
    with pytest.raises(NotPassedError, match=said) as error:
        passed(rules(bound), run, None, SHA256)
    assert error.value.exit_code == exit_code


def test_a_run_of_other_weights_proves_nothing(run, run_of, rules):
    with pytest.raises(UserError, match="did not ask the model that is to be promoted"):
        passed(rules("0.5"), run, None, "b" * 64)
    with pytest.raises(UserError, match="did not ask the model"):
        passed(rules("0.5"), run_of("endpoint", replies(50)), None, SHA256)
