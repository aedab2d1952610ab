"""The drawings of privacy: which share of training texts is told from held-out ones, at every share of false alarms."""

from collections.abc import Sequence

from eval.figures import Figure
from eval.report.picture import Findings, Picture
from eval.report.plots import Series, chart, share_axis
from eval.report.words import counted, value_text
from eval.statistics import Observation

DRAWN = {"membership.loss.auroc": "by loss", "membership.length.auroc": "by length, without a model"}


def privacy_pictures(findings: Findings) -> list[Picture]:
    """The ROC curve of membership inference, beside one that needs no model."""
    drawn = [figure for figure in findings.figures if figure.key in DRAWN and figure.estimate]
    if not any(figure.key == "membership.loss.auroc" for figure in drawn):
        return []
    curves = [Series(DRAWN[figure.key], roc_curve(figure.observations)) for figure in drawn]
    axes = share_axis("held-out texts taken for training texts"), share_axis("training texts found")
    svg = chart("Membership inference", *axes, [Series("", [(0, 0), (1, 1)], "guide"), *curves])
    return [Picture("Who was in the training data?", svg, _caption(drawn))]


def roc_curve(observations: Sequence[Observation]) -> list[tuple[float, float]]:
    """(false positive rate, true positive rate) at every threshold, from the strictest; equal values are one step."""
    positives = sum(o.against > 0.5 for o in observations)
    negatives, points, true, false = len(observations) - positives, [(0.0, 0.0)], 0, 0
    ordered = sorted(observations, key=lambda o: -o.value)
    for place, observation in enumerate(ordered):
        true, false = true + (observation.against > 0.5), false + (observation.against <= 0.5)
        is_last = place + 1 == len(ordered)
        if is_last or ordered[place + 1].value != observation.value:
            points.append((false / negatives, true / positives))
    return points


def _caption(drawn: Sequence[Figure]) -> str:
    told = ", ".join(f"{DRAWN[f.key]} {value_text(f.estimate.value, 'share')}" for f in drawn)
    return (
        f"{counted(drawn[0].n, 'text')}, most likely first. On the dashed line training texts cannot be told from "
        f"held-out ones; the area under each curve is {told}. The left end matters most: who is found without alarms "
        "about others."
    )
