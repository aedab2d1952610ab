"""How fast does a model answer, one request at a time and several at once?"""

from eval.suite import Suite
from eval.tasks.speed import SPEED

SUITE = Suite(
    name="speed",
    about="How fast does the model answer, one request at a time and several at once?",
    tasks=(SPEED,),
    headlines=(
        "speed.first_token_s.1_in_flight.median",
        "speed.between_tokens_s.1_in_flight.median",
        "speed.tokens_per_s.16_in_flight",
    ),
)
