"""Run B against run A, the baseline, in pairs: which figures are better, which worse, and what cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from eval.differences import Difference, benjamini_hochberg, difference, holm
from eval.figures import Figure
from eval.result import Result
from serving.errors import UserError

ALPHA = 0.05
LEAST_PAIRED = 0.5
"""Where fewer of the answers than this are in both runs, what is left is not what either was asked."""
Outcome = Literal["better", "worse", "changed", "none", "unmeasurable", "incomparable"]
"""changed: a difference, in a figure that has no good end; none: no difference found."""
HASHES = {
    "samples_sha256": "samples_sha256 differs: not the same questions",
    "requests_sha256": "requests_sha256 differs: the same questions, with another prompt, other tools or parameters, "
    "which --across-prompts lets pass",
}


@dataclass(frozen=True)
class Change:
    """What became of one figure."""

    figure: Figure
    """Of run B; of run A if only that has it."""
    section: str
    headline: bool
    """One of the few that decide: their p-values are adjusted by Holm, those of all others by Benjamini-Hochberg."""
    outcome: Outcome = "none"
    difference: Difference | None = None
    p: float | None = None
    """Adjusted."""
    why: str = ""
    """Why nothing could be decided."""

    @property
    def key(self) -> str:
        return self.figure.key

    def as_json(self) -> dict[str, Any]:
        fields = {"section": self.section, "headline": self.headline, "outcome": self.outcome, "unit": self.figure.unit}
        if self.difference is None:
            return fields | {"why": self.why}
        found = {name: value for name, value in vars(self.difference).items() if name != "limit"}
        return fields | found | {"p_adjusted": self.p}


def compare(baseline: Result, run: Result, across_prompts: bool = False) -> list[Change]:
    """Every figure that either run has, the headline figures first and in their order.

    `across_prompts` lets runs be compared that asked the same samples in different ways. Raises `UserError` where
    not one figure can be compared, because the runs did not ask the same.
    """
    headlines = list(dict.fromkeys((*run.suite.headlines, *baseline.suite.headlines)))
    sections = {f.key: s.title for result in (baseline, run) for s in result.sections for f in s.figures}
    figures = baseline.figures | run.figures
    order = [key for key in headlines if key in figures]
    order += [key for key in (*run.figures, *baseline.figures) if key not in order]
    changes = [
        change_between(baseline, run, Change(figures[key], sections[key], key in headlines), across_prompts)
        for key in dict.fromkeys(order)
    ]
    if all(change.outcome == "incomparable" for change in changes):
        reasons = "; ".join(dict.fromkeys(change.why for change in changes)) or "neither has a figure"
        raise UserError(f"The runs {baseline.folder} and {run.folder} cannot be compared: {reasons}.")
    return decided(changes)


def paired(baseline: Result, run: Result, key: str, across_prompts: bool = False) -> Difference | str:
    """How far the figure called `key`, measured in both, is from the baseline's; or why that cannot be said."""
    if why := incomparable(baseline, run, key, across_prompts):
        return why
    a, b = baseline.figures[key], run.figures[key]
    found = difference(b.statistic, a.observations, b.observations)
    if found is None or found.clusters < b.smallest_n:
        return f"{found.clusters if found else 'too few'} pairs, fewer than {b.smallest_n}"
    units = [len({observation.unit for observation in figure.observations}) for figure in (a, b)]
    if found.n < LEAST_PAIRED * max(units):
        return f"only {found.n} of {max(units)} answers are in both"
    return found


def incomparable(baseline: Result, run: Result, key: str, across_prompts: bool = False) -> str:
    """Which hash, or which way of scoring, stands against comparing the figure called `key`, or "" if none does."""
    sides = [result.identity["tasks"] for result in (baseline, run)]
    task = key.split(".")[0]
    a, b = (side.get(task) for side in sides)
    if a is None or b is None:
        return f"{task} was asked only in {'B' if a is None else 'A'}"
    for name, said in HASHES.items():
        if a[name] != b[name] and not (across_prompts and name == "requests_sha256"):
            return f"{said} ({task})"
    ways = [" and ".join(sorted(result.scorings.get(task, ()))) for result in (baseline, run)]
    if all(ways) and ways[0] != ways[1]:
        return f"options were scored by {ways[0]} in A and by {ways[1]} in B ({task})"
    return ""


def change_between(baseline: Result, run: Result, change: Change, across_prompts: bool = False) -> Change:
    """The change with its difference between the two runs, not yet decided; or with why there is none."""
    if why := incomparable(baseline, run, change.key, across_prompts):
        return replace(change, outcome="incomparable", why=why)
    for name, result in (("A", baseline), ("B", run)):
        figure = result.figures.get(change.key)
        if figure is None:
            return replace(change, outcome="unmeasurable", why=f"not among the figures of {name}")
        if figure.why_not:
            return replace(change, outcome="unmeasurable", why=f"in {name}: {figure.why_not}")
    found = paired(baseline, run, change.key, across_prompts)
    if isinstance(found, str):
        return replace(change, outcome="incomparable", why=found)
    return replace(change, difference=found)


def decided(changes: Sequence[Change]) -> list[Change]:
    """With an adjusted p-value and an outcome wherever there is a difference; the headline figures are one family."""
    adjusted: dict[int, float] = {}
    for family, adjust in ((True, holm), (False, benjamini_hochberg)):
        members = {n: c.difference.p for n, c in enumerate(changes) if c.difference and c.headline == family}
        adjusted |= zip(members, adjust(list(members.values())), strict=True)
    return [_with_p(change, adjusted[n]) if n in adjusted else change for n, change in enumerate(changes)]


def _with_p(change: Change, p: float) -> Change:
    better = change.figure.better
    if p >= ALPHA:
        return replace(change, p=p)
    if not better:
        return replace(change, p=p, outcome="changed")
    is_good = (change.difference.difference > 0) == (better == "high")
    return replace(change, p=p, outcome="better" if is_good else "worse")
