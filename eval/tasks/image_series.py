"""Pictures in series: single things one at a time, and many pictures of one caption several at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from eval.drawn import pixels
from eval.figures import SMALLEST_N, Figure, Section, answered, errors_in, mean, means, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import draw
from eval.scores.diversity import DISTINCT, DIVERSITY, are_new, drawn_again, mean_distance
from eval.scores.images import everything_right, outline_iou, scene_of
from eval.scores.speed import REQUESTS_PER_S
from eval.statistics import Observation
from eval.task import Task
from eval.tasks.image_samples import FEWEST_OF_A_KIND, known_scenes, single_things
from eval.tasks.image_scenes import is_right, scores_of
from eval.tasks.speed import SMALLEST_N_OF_P95

SEEDS, CAPTIONS = 16, 16
"""Pictures of each caption, and captions, to see how varied pictures are."""
FEWEST_TO_VARY = 4
"""Of a caption with fewer right pictures than this nobody can say how varied they are."""
IN_FLIGHT = 4
PICTURE_S = Meaning(
    formula="seconds from sending the request until the whole picture was there",
    source="latency of the single stream scenario of MLPerf Inference",
    caveat="nothing else is asked meanwhile; pictures that cannot be read are left out; larger ones take longer",
    better="low",
    high=None,
)
PICTURES_PER_S = Meaning(
    formula="requests in flight x pictures that can be read / sum of seconds that requests took (Little's law)",
    source=REQUESTS_PER_S.source,
    caveat="larger pictures take longer",
    high=None,
)


def summarise_singles(records: Sequence[Record]) -> list[Section]:
    """Outlines by kind of thing, and the time that one picture takes alone."""
    (outlines,) = means((outline_iou,), by="thing")(records)
    every, *by_kind = outlines.figures
    return [
        Section("Outlines of single things", [every, *(replace(f, smallest_n=FEWEST_OF_A_KIND) for f in by_kind)]),
        Section(
            "Seconds to a picture", [_time("median", SMALLEST_N, records), _time("p95", SMALLEST_N_OF_P95, records)]
        ),
    ]


def summarise_seeds(records: Sequence[Record]) -> list[Section]:
    """How varied the right pictures of each caption are, and how many pictures a second several requests get."""
    right: dict[str, list[Record]] = {}
    for record in answered(records):
        if is_right(record):
            right.setdefault(record.id, []).append(record)
    varied = [_variety(of) for of in right.values() if len(of) >= FEWEST_TO_VARY]
    new = [observation for of in right.values() for observation in _novelty(of)]
    errors, label = errors_in(records), "distance of two pictures / of two drawn scenes"
    return [
        Section(
            f"{SEEDS} pictures of one caption",
            [
                Figure("diversity", label, "ratio", varied, errors, unit="number", meaning=DIVERSITY),
                Figure("distinct", "distinct pictures", "share", new, errors, meaning=DISTINCT),
                mean("everything_right", "everything right", records, everything_right),
            ],
        ),
        Section("Pictures per second", [_rate(records)]),
    ]


def _variety(right: Sequence[Record]) -> Observation:
    """Of one caption: the mean distance of its pictures, set against that of as many drawn scenes."""
    pictures = list(_pictures(right))
    drawn = drawn_again(scene_of(right[0].sample), SEEDS, len(pictures[0]))
    return Observation(right[0].id, right[0].cluster, mean_distance(pictures), mean_distance(drawn))


def _novelty(right: Sequence[Record]) -> list[Observation]:
    return [observed(record, new) for record, new in zip(right, are_new(list(_pictures(right))), strict=True)]


def _pictures(records: Sequence[Record]) -> Iterator:
    return (pixels(record.reply.file) for record in records)


def _time(statistic: str, smallest_n: int, records: Sequence[Record]) -> Figure:
    times = [observed(record, record.reply.latency_s) for record in answered(records) if _is_readable(record)]
    return Figure(
        f"picture_s.1_in_flight.{statistic}",
        f"1 in flight, {statistic}",
        statistic,
        times,
        errors_in(records),
        unparsed=len(answered(records)) - len(times),
        better="low",
        unit="seconds",
        meaning=PICTURE_S,
        smallest_n=smallest_n,
    )


def _rate(records: Sequence[Record]) -> Figure:
    drawn = [observed(r, _is_readable(r), r.reply.latency_s / IN_FLIGHT) for r in answered(records)]
    return Figure(
        f"pictures_per_s.{IN_FLIGHT}_in_flight",
        f"{IN_FLIGHT} in flight",
        "ratio",
        drawn,
        errors_in(records),
        unparsed=sum(observation.value == 0 for observation in drawn),
        unit="number",
        meaning=PICTURES_PER_S,
    )


def _is_readable(record: Record) -> bool:
    return pixels(record.reply.file) is not None


SINGLES = Task(
    name="singles",
    data=single_things,
    asking=draw(in_flight=1),
    scores=scores_of,
    figures=summarise_singles,
    about="is every kind of thing drawn with its outline, and how soon does one picture come?",
)
VARIETY = Task(
    name="variety",
    data=known_scenes,
    asking=draw(in_flight=IN_FLIGHT),
    repeats=SEEDS,
    scores=scores_of,
    figures=summarise_seeds,
    size=CAPTIONS,
    about="are the pictures of one caption as varied as drawn scenes, and how many come in a second?",
)
