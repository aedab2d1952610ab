"""Rules that a run must keep, in YAML, decided by confidence limits and not by luck.

max_errors: 0.01
rules:
  - almanac.fact.right >= baseline - 0.03
  - almanac.made_up.refused >= 0.9

A rule is kept ("pass") when the whole 95 % interval is on its right side, broken ("regression") when the whole of it is
on the wrong side, and otherwise undecided ("inconclusive"): then more questions are due, or a larger tolerance. Against
a baseline it is the paired difference that is judged, which makes a rule with a tolerance a test of non-inferiority.
Whether rules are broken is adjusted by Holm, so that many rules do not raise false alarms. Whether they are kept needs
no adjustment, since all of them must be (Berger 1982, Technometrics 24:295, the intersection-union test).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from eval.compare import incomparable, paired
from eval.differences import Difference, holm
from eval.figures import Figure
from eval.result import Result
from eval.statistics import CONFIDENCE, Limit, chance_if_at_least, chance_if_at_most, infer
from serving.errors import UserError

ALPHA = (1 - CONFIDENCE) / 2
Verdict = Literal["pass", "regression", "inconclusive"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "regression": 1, "inconclusive": 3}
NUMBER = r"\d+(?:\.\d*)?|\.\d+"
BASELINE = rf"(?P<baseline>baseline)(?:\s*(?P<side>[+-])\s*(?P<by>{NUMBER}))?"
RULE = re.compile(rf"(?P<key>[^\s<>=]+)\s*(?P<sign>>=|<=)\s*(?:{BASELINE}|(?P<at>-?(?:{NUMBER})))")


@dataclass(frozen=True)
class Rule:
    """`key` at least, or at most, a number or the baseline shifted by one."""

    text: str
    key: str
    at_least: bool
    relative: bool
    """To the baseline: `bound` is then one for the difference."""
    bound: float


def parse_rule(text: str) -> Rule:
    """A line such as "almanac.fact.right >= baseline - 0.03". Raises ValueError."""
    found = RULE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f'{text!r} is no rule: write "FIGURE >= NUMBER" or "FIGURE >= baseline - NUMBER", or with <=')
    shift = float(found["by"] or 0) * (-1 if found["side"] == "-" else 1)
    relative = found["baseline"] is not None
    return Rule(text.strip(), found["key"], found["sign"] == ">=", relative, shift if relative else float(found["at"]))


class Rules(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    rules: list[Annotated[Rule, BeforeValidator(parse_rule)]] = Field(min_length=1)
    max_errors: float = Field(0.01, ge=0, le=1)
    """The share of requests that may be without an answer."""


@dataclass(frozen=True)
class Judged:
    """One rule and what became of it."""

    rule: str
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class _Evidence:
    """One-sided p-values: small `kept` says that the rule is surely kept, small `broken` that it is surely broken."""

    kept: float
    broken: float
    why: str


def read_rules(path: Path) -> Rules:
    """The rules in the file. Raises `UserError` naming what cannot be used."""
    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"There is no file of rules {path}: check its name.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"The rules {path} cannot be read ({said}): the file must be YAML in UTF-8.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"The rules {path} cannot be used: {where}: {first['msg'].removeprefix('Value error, ')}."
        ) from None


def judge(rules: Rules, run: Result, baseline: Result | None = None, across_prompts: bool = False) -> list[Judged]:
    """What became of every rule, that about errors first.

    Raises `UserError` for a figure that is unknown, a baseline that is missing, and runs that cannot be compared.
    """
    evidence = [_evidence(rule, run, baseline, across_prompts) for rule in rules.rules]
    decided = [found for found in evidence if isinstance(found, _Evidence)]
    broken = iter(holm([found.broken for found in decided]))
    judged = [
        Judged(rule.text, "inconclusive", found)
        if isinstance(found, str)
        else Judged(rule.text, _verdict(found.kept, next(broken)), found.why)
        for rule, found in zip(rules.rules, evidence, strict=True)
    ]
    return [*_errors(rules.max_errors, run, baseline), *judged]


def outcome(judged: Sequence[Judged]) -> Verdict:
    """Of the gate as a whole: one broken rule is a regression, else one undecided rule leaves it undecided."""
    found = {entry.verdict for entry in judged}
    return next(verdict for verdict in ("regression", "inconclusive", "pass") if verdict in found)


def render(judged: Sequence[Judged]) -> str:
    """A line for every rule: what became of it, and why."""
    width = max(len(entry.rule) for entry in judged)
    return "\n".join(f"{entry.verdict:<14}{entry.rule:<{width}}  {entry.why}" for entry in judged)


def _verdict(kept: float, broken: float) -> Verdict:
    return "pass" if kept < ALPHA else "regression" if broken < ALPHA else "inconclusive"


def _errors(most: float, run: Result, baseline: Result | None) -> list[Judged]:
    judged = []
    for name, result in (("run", run), ("baseline", baseline)):
        if result:
            due = sum(task["cases"] for task in result.identity["tasks"].values())
            missing = due - len(result.records) + len(result.errors)
            verdict = "pass" if due and missing <= most * due else "inconclusive"
            judged.append(Judged(f"max_errors: {most:g}", verdict, f"{missing} of {due} requests of the {name}"))
    return judged


def _evidence(rule: Rule, run: Result, baseline: Result | None, across_prompts: bool) -> _Evidence | str:
    if rule.relative and baseline is None:
        raise UserError(f'The rule "{rule.text}" needs a baseline: name one with --baseline.')
    sides = {"run": run} | ({"baseline": baseline} if rule.relative else {})
    for name, result in sides.items():
        _check_key(rule, result)
        figure = result.figures.get(rule.key)
        if figure is None or figure.why_not:
            return f"not measurable in the {name}: {figure.why_not if figure else 'no answers'}"
    if not rule.relative:
        return _of_limit(rule, run.figures[rule.key])
    if why := incomparable(baseline, run, rule.key, across_prompts):
        raise UserError(f'The rule "{rule.text}" cannot be judged: {why}.')
    found = paired(baseline, run, rule.key, across_prompts)
    return found if isinstance(found, str) else _of_difference(rule, found)


def _check_key(rule: Rule, result: Result) -> None:
    """A figure that is not there is a mistake, unless it is one of the suite's own or its task has no answers yet."""
    known = {*result.figures, *result.suite.headlines}
    asked = {record.task for record in result.records}
    unasked = [task.name for task in result.suite.tasks if task.name not in asked]
    if rule.key in known or any(rule.key.startswith(f"{name}.") for name in unasked):
        return
    nearest = get_close_matches(rule.key, known, n=1, cutoff=0.0)
    hint = f": did you mean {nearest[0]}?" if nearest else "."
    raise UserError(f"The run {result.folder} has no figure {rule.key!r}{hint}")


def _of_limit(rule: Rule, figure: Figure) -> _Evidence:
    value, low, high = figure.estimate[:3]
    limit = infer(figure.statistic, figure.observations).limit
    return _judged_by(rule, limit, f"{value:.3g}, 95 %: {low:.3g} to {high:.3g}")


def _of_difference(rule: Rule, found: Difference) -> _Evidence:
    ends = f"{found.low:+.3g} to {found.high:+.3g}" if found.low is not None else "unknown, all pairs change alike"
    seen = f"; could have seen at least {found.mde:.2g}" if found.mde else ""
    return _judged_by(rule, found.limit, f"difference {found.difference:+.3g}, 95 %: {ends}{seen}")


def _judged_by(rule: Rule, limit: Limit, why: str) -> _Evidence:
    above, below = chance_if_at_most(limit, rule.bound), chance_if_at_least(limit, rule.bound)
    kept, broken = (above, below) if rule.at_least else (below, above)
    return _Evidence(kept, broken, why)
