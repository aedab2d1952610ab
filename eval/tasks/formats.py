"""FormatSpread on multiple choice, ours and a local copy of ARC: do layout and order change which option is taken?"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from eval.data import Inputs, project_file, public_rows
from eval.figures import Section
from eval.records import Record
from eval.requests import choice
from eval.scores.options import option_taken, right_option
from eval.scores.score import Sample
from eval.sensitivity import of_options
from eval.task import Task, Variant
from eval.variants.formats import formatted
from eval.variants.setting import both, choice_order

SIZE, CHOICES = 40, 4
FORMATS = tuple(formatted(number) for number in range(1, 9))
ORDERS = (FORMATS[0], *(both(choice_order(steps), FORMATS[0]) for steps in range(1, CHOICES)))


def questions(inputs: Inputs) -> list[Sample]:
    """The questions with four options, so that chance is the same for all. Raises `Missing` without a local copy."""
    return [row for row in public_rows("multiple_choice_qa/arc_easy_test.jsonl.gz") if len(row["choices"]) == CHOICES]


def summarise(records: Sequence[Record], title: str) -> list[Section]:
    """The question as it is lists no options: it is no format, and stays outside."""
    accuracy, agreement = of_options([record for record in records if record.variant], CHOICES)
    return [Section(title, [*accuracy, *agreement])]


def _choosing(
    name: str,
    title: str,
    variants: Sequence[Variant],
    about: str,
    data: Callable[[Inputs], Iterable[Sample]] = questions,
) -> Task:
    return Task(
        name=name,
        data=data,
        asking=choice(),
        variants=variants,
        scores=(right_option, option_taken),
        figures=partial(summarise, title=title),
        size=SIZE,
        about=about,
    )


ARC_FORMATS = _choosing(
    "arc_formats",
    "Multiple choice in other formats of the prompt",
    FORMATS,
    "does the layout of a multiple-choice prompt change which option it takes?",
)
ARC_ORDER = _choosing(
    "arc_order",
    "Multiple choice with the options in another order",
    ORDERS,
    "does the order of the options change which option it takes?",
)
EVERYDAY_ORDER = _choosing(
    "everyday_order",
    "Everyday things with the options in another order",
    ORDERS,
    "the same of what everybody knows",
    project_file("probes/everyday.jsonl"),
)
