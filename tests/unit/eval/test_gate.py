"""The gate on folders of real runs: each exit code, and what a file of rules may hold."""

import pytest

from eval.gate import judge, outcome, parse_rule, read_rules
from eval.result import read_result
from serving.errors import UserError
from tests.unit.eval.almanac_runs import fact, invoke, replies


@pytest.fixture
def rules(tmp_path):
    """Write a file of rules; each argument is one."""

    def write(*lines, head=""):
        path = tmp_path / "rules.yaml"
        path.write_text(head + "rules:\n" + "".join(f"  - {line}\n" for line in lines))
        return path

    return write


def verdicts(path, run, baseline=None):
    judged = judge(read_rules(path), read_result(run), read_result(baseline) if baseline else None)
    return [entry.verdict for entry in judged if not entry.rule.startswith("max_errors")]


@pytest.mark.parametrize(
    ("text", "bound", "relative", "at_least"),
    [
        ("a.b >= 0.9", 0.9, False, True),
        ("a.b <= -1.5", -1.5, False, False),
        ("a.b >= baseline - 0.03", -0.03, True, True),
        ("a.b<=baseline+.01", 0.01, True, False),
        ("a.b >= baseline", 0.0, True, True),
    ],
)
def test_rules_are_read(text, bound, relative, at_least):
    rule = parse_rule(text)
    assert (rule.key, rule.bound, rule.relative, rule.at_least) == ("a.b", bound, relative, at_least)


@pytest.mark.parametrize("text", ["a.b > 0.9", "a.b >= base - 1", "a.b >=", ">= 0.9", "a.b >= baseline * 2", 3, None])
def test_other_lines_are_no_rules(text):
    with pytest.raises(ValueError, match="is no rule"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rules: []", "rules: List should have at least 1 item"),
        ("max_errors: 0.1", "rules: Field required"),
        ("rules: [a.b >= 0.9]\nmax_errors: 2", "max_errors: Input should be less than or equal to 1"),
        ("rules: [a.b >= 0.9]\nmax_error: 0.1", "max_error: Extra inputs are not permitted"),
        ("rules: [a.b == 0.9]", r"rules.0: 'a.b == 0.9' is no rule: write \"FIGURE >= NUMBER\""),
        ("rules: [", "cannot be read"),
        ("- a.b >= 0.9", "the file"),
    ],
)
def test_a_fault_in_the_file_is_one_sentence(tmp_path, content, said):
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as error:
        read_rules(path)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no file of rules"):
        read_rules(tmp_path / "none.yaml")


def test_limits_are_kept_broken_or_undecided(run_of, rules):
    run = run_of("a", replies(right=30, refused=60))
    path = rules(
        "almanac.made_up.refused >= 0.9",
        "almanac.fact.right >= 0.9",
        "almanac.fact.right >= 0.45",
        "almanac.fact.right <= 0.3",
        "almanac.fact.right <= 0.9",
    )
    assert verdicts(path, run) == ["pass", "regression", "inconclusive", "regression", "pass"]


def test_against_a_baseline_the_tolerance_decides(run_of, rules):
    a, same, bad = run_of("a", replies(50)), run_of("same", replies(50)), run_of("bad", replies(30))
    wide, narrow = "almanac.fact.right >= baseline - 0.1", "almanac.fact.right >= baseline - 0.01"
    assert verdicts(rules(wide, narrow, "almanac.fact.right >= baseline"), same, a) == [
        "pass",
        "inconclusive",
        "inconclusive",
    ]
    assert verdicts(rules(wide, narrow), bad, a) == ["regression", "regression"]
    assert verdicts(rules("almanac.fact.right >= baseline + 0.1"), a, bad) == ["pass"]


def test_the_command_exits_by_the_verdict(run_of, rules):
    a, bad = run_of("a", replies(50)), run_of("bad", replies(30))
    against = ("--baseline", a)
    passed = invoke("gate", rules("almanac.fact.right >= baseline - 0.1"), a, *against)
    assert (passed.exit_code, passed.stdout.splitlines()[-1]) == (0, "pass")
    mixed = rules("almanac.fact.right >= baseline - 0.1", "almanac.premise.right >= 0.5")
    broken = invoke("gate", mixed, bad, *against)
    assert (broken.exit_code, broken.stdout.splitlines()[-1]) == (1, "regression")
    assert "difference -0.333" in broken.stdout
    undecided = invoke("gate", mixed, a, *against)
    assert (undecided.exit_code, undecided.stdout.splitlines()[-1]) == (3, "inconclusive")
    assert "not measurable in the run: no answers" in undecided.stdout


def test_too_many_errors_decide_nothing(run_of, rules):
    run = run_of("a", replies(60) | {"Capital of Land3?": 400, "Capital of Land4?": 400})
    result = invoke("gate", rules("almanac.fact.right >= 0.5"), run)
    assert result.exit_code == 3
    assert "2 of 120 requests of the run" in result.stdout
    assert invoke("gate", rules("almanac.fact.right >= 0.5", head="max_errors: 0.02\n"), run).exit_code == 0


def test_a_run_that_has_no_answer_decides_nothing(run_of, rules):
    run = run_of("a", dict.fromkeys(replies(0), 400))
    assert invoke("gate", rules("almanac.fact.right >= 0.0"), run).exit_code == 3
    (run / "records.jsonl").unlink()
    assert invoke("gate", rules("almanac.fact.right >= 0.0"), run).exit_code == 3


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("almanac.fact.rigt >= 0.9", "did you mean almanac.fact.right"),
        ("almanac.fact.right >= baseline - 0.1", "needs a baseline: name one with --baseline"),
    ],
)
def test_what_the_rules_get_wrong_is_said(run_of, rules, rule, said):
    run = run_of("a", replies(50))
    with pytest.raises(UserError, match=said) as error:
        invoke("gate", rules(rule), run)
    assert error.value.exit_code == 2


def test_runs_of_other_questions_cannot_be_judged(run_of, rules):
    a, b = run_of("a", replies(50)), run_of("b", replies(50), [fact(i) for i in range(30)])
    with pytest.raises(UserError, match="cannot be judged: samples_sha256 differs"):
        invoke("gate", rules("almanac.fact.right >= baseline - 0.1"), b, "--baseline", a)


def test_many_rules_do_not_add_up_to_a_false_alarm(run_of, rules):
    """18 of 60 against a limit of 42 % is a regression as the only rule and none as one of ten."""
    run = run_of("a", replies(18))
    surely_kept = ["almanac.made_up.refused >= 0.5"] * 9
    assert verdicts(rules("almanac.fact.right >= 0.43"), run) == ["regression"]
    judged = judge(read_rules(rules("almanac.fact.right >= 0.43", *surely_kept)), read_result(run))
    assert [entry.verdict for entry in judged[1:]] == ["inconclusive"] + ["pass"] * 9
    assert outcome(judged) == "inconclusive"
