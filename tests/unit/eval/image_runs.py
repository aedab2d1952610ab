"""Runs of the images suite against a server that paints scenes as a test wants them painted."""

import asyncio
from dataclasses import replace
from functools import cache

import numpy as np

from eval.data import Inputs
from eval.pictures.draw import draw
from eval.pictures.world import world
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.scores.diversity import drawn_again
from eval.scores.images import scene_of
from eval.suites.images import SUITE
from eval.target import Target
from tests.unit.eval.picture_server import PictureServer

PX = 48


def painted(tasks, paint, folder, limit=None, concurrency=8, refuses=()):
    """The result of asking `tasks` of a server that answers with `paint(scene, seed, variant)`, and the server."""
    planned = plan(replace(SUITE, tasks=tasks), Inputs(), limit=limit)
    told = {case.request.body["prompt"]: (scene_of(case.sample), case.variant) for case in planned.cases}
    run = Run(planned, identify(planned, "painter", None, False), folder)

    async def ask(server):
        async with Target(server.at, "painter", pictures=folder / "pictures") as target:
            await run.ask(target, concurrency)

    def answer(prompt, seed):
        scene, variant = told[prompt]
        return paint(scene, seed, variant)

    with PictureServer(answer, refuses) as server:
        asyncio.run(ask(server))
    return read_result(folder), server


@cache
def scenes_like(scene):
    return drawn_again(scene, 16, PX)


def right(scene, seed, variant=""):
    return scenes_like(scene)[seed % 16]


def recoloured(scene, seed, variant=""):
    """The right things in the right places, all in wrong colours."""
    colours = [colour for colour in world(scene.world).colours if colour != scene.background]
    others = dict(zip(colours, [*colours[1:], colours[0]], strict=True))
    return draw(replace(scene, things=tuple(replace(t, colour=others[t.colour]) for t in scene.things)), PX)


def noise(scene, seed, variant=""):
    return np.random.default_rng([seed, *scene.kind.encode()]).integers(0, 256, (PX, PX, 3), dtype=np.uint8)


def constant(scene, seed, variant=""):
    return np.full((PX, PX, 3), 250, np.uint8)


def values(result):
    """Key -> value of every figure, None where it is not measurable."""
    return {key: figure.estimate and figure.estimate.value for key, figure in result.figures.items()}
