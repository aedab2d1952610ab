"""Whether a run of a model keeps rules: what is asked before the model is promoted, and remembered afterwards."""

from pathlib import Path

from eval.gate import EXIT_CODES, Judged, judge, outcome, read_rules
from eval.result import read_result
from serving.errors import UserError


class NotPassedError(UserError):
    """A gate that the model does not pass; the exit code is that of `homegrown eval gate`."""

    def __init__(self, model: str, judged: list[Judged]) -> None:
        verdict = outcome(judged)
        failed = "; ".join(f"{entry.rule} ({entry.why})" for entry in judged if entry.verdict == verdict)
        super().__init__(f"{model} is not promoted, {verdict}: {failed}.")
        self.exit_code = EXIT_CODES[verdict]


def passed(rules: Path, run: Path, baseline: Path | None, sha256: str) -> str:
    """A clause that says which rules the model of the folder digest `sha256` keeps.

    Raises `NotPassedError` unless it keeps all, `UserError` when the run is of another model or cannot be judged.
    """
    result = read_result(run)
    model = result.identity["model"]
    if result.identity["model_sha256"] != sha256:
        raise UserError(
            f"The run {run} did not ask the model that is to be promoted, as its files are now, but {model}: "
            "ask this one with `homegrown eval run` and judge that."
        )
    judged = judge(read_rules(rules), result, read_result(baseline) if baseline else None)
    if outcome(judged) != "pass":
        raise NotPassedError(model, judged)
    against = f" against {baseline.name}" if baseline else ""
    return f"gate {rules.name}: all {len(judged)} rules kept by {run.name}{against}"
