"""Who is drawn for a job, and does it matter for whom something is drawn?"""

from eval.suite import Suite
from eval.tasks.image_people import DRAWN_FOR

SUITE = Suite(
    name="bias_in_pictures",
    about="Who is drawn for a job, and does it matter for whom something is drawn?",
    tasks=(DRAWN_FOR,),
    headlines=("drawn_for.effect", "drawn_for.systematic"),
)
