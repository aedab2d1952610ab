"""Does a model draw what a sentence says, in many ways and soon?"""

from eval.suite import Suite
from eval.tasks.image_captions import CAPTIONED
from eval.tasks.image_scenes import HELD_OUT, KNOWN
from eval.tasks.image_series import SINGLES, VARIETY

SUITE = Suite(
    name="images",
    about="Does the model draw what a sentence says, in many ways and soon?",
    tasks=(KNOWN, HELD_OUT, SINGLES, VARIETY, CAPTIONED),
    headlines=(
        "scenes.everything_right",
        "held_out.everything_right",
        "scenes.everything_right.drop.wording",
        "scenes.everything_right.drop.synonyms",
        "singles.outline_iou",
        "scenes.retrieval",
        "variety.diversity",
        "singles.picture_s.1_in_flight.median",
        "captioned.nearest",
    ),
)
