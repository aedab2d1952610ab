"""Does `homegrown improve` find out what somebody likes from thumbs alone, without forgetting anything?

    python benchmarks/simulated_user.py [--rounds 3] [--prompts 48] [--answers 6] [--unseen 96] [-- --method kto ...]

A simulated person likes answers with a kind word, and tells nobody. It asks the live service (real vLLM, our API, the
almanac) over HTTP as the page does, has each answer written several times, and presses thumbs. Then comes the loop:
`homegrown improve`, with what stands after --, promotes a new model to the running server if the gate lets it, and the
next round asks that one. Before the first round and after each, prompts are asked that no round asks, in other frames
about other things: how often has the answer of the model now a kind word where that of the first one has none?

The win rate counts ties as halves; its p-value is the exact one of the sign test over prompts that are no tie. Printed
as well: how far the taste goes with length, so that nothing here can be won by longer or shorter answers. Exit code 1
when in the end the win rate is not above 0.6 with p < 0.01, or a gate did not pass.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from assistant.service import extension
from eval.statistics import Estimate, Observation, estimate
from prompts.library import FOLDER
from serving.engine import free_port
from serving.home import home
from serving.registry import DEFAULT_MODEL
from serving.serve import serving
from serving.settings import read_settings
from tests.page_events import parsed

ROOT = Path(__file__).parents[1]
KIND_WORD = re.compile(r"\b(glad|good luck|hope|kind|please|sorry|thank|thanks|welcome)\b", re.IGNORECASE)
IN_FLIGHT = 8
WIN_RATE, P = 0.6, 0.01
SAMPLED = {"temperature": 1.0}
WAYS = {"sampled": SAMPLED, "as served": {}}
"""How the unseen prompts are asked; the almanac is served greedily."""


class Thumb(NamedTuple):
    """What was pressed for an answer of so many characters."""

    liked: bool
    length: int


class Wins(NamedTuple):
    """Of the model now against the first one, prompt by prompt, by the taste."""

    rate: Estimate
    p: float
    before: float
    after: float


class Page:
    """The live service, as the page uses it; `http` has its address and the page's header."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http, self._free = http, asyncio.Semaphore(IN_FLIGHT)

    async def answers(self, question: str, count: int, seed: int, sampling: dict) -> list[dict]:
        """Answers to one question, each beside the others; those without an end are left out."""
        async with self._free:
            settings = {"settings": sampling | {"seed": seed}}
            conversation = await self._post("/api/conversations", settings)
            begun = await self._post(f"/api/conversations/{conversation['id']}/turns", {"content": question})
            told = [await self._told(begun["assistant"])]
            for number in range(1, count):
                again = {"sampling": {"seed": seed + number}}
                begun = await self._post(f"/api/messages/{told[0]['id']}/regenerate", again)
                told.append(await self._told(begun["assistant"]))
        return [message for message in told if message["state"] == "done" and message["content"].strip()]

    async def press(self, message: dict, liked: bool) -> None:
        """A thumb, with leave to learn from it."""
        await self._post(f"/api/messages/{message['id']}/feedback", {"thumb": 1 if liked else -1, "consent": True})

    async def _post(self, path: str, body: dict) -> dict:
        answer = await self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def _told(self, message: dict) -> dict:
        """The answer once all of it is written."""
        answer = await self._http.get(f"/api/messages/{message['id']}/events")
        answer.raise_for_status()
        kind, data = list(parsed(answer.text.splitlines()))[-1]
        assert kind == "done", (kind, data)
        return data["message"]


def likes(answer: str) -> bool:
    """The hidden taste: a kind word, once or often."""
    return KIND_WORD.search(answer) is not None


def small_talk(seed: int = 0) -> tuple[list[str], list[str]]:
    """What the rounds ask, and what is kept for the end: no frame and no thing is in both."""
    spec = yaml.safe_load((FOLDER / "probes" / "small_talk.yaml").read_text(encoding="utf-8"))
    cut = {name: len(spec[name]) * 2 // 3 for name in spec}
    parts = [
        [frame.format(thing) for frame in spec["frames"][frames] for thing in spec["things"][things]]
        for frames, things in (
            (slice(cut["frames"]), slice(cut["things"])),
            (slice(cut["frames"], None), slice(cut["things"], None)),
        )
    ]
    for part in parts:
        random.Random(seed).shuffle(part)
    return parts[0], parts[1]


async def press_thumbs(page: Page, questions: Sequence[str], count: int, first_seed: int) -> list[Thumb]:
    """Ask, have it answered `count` times, and say of each answer whether it is liked."""

    async def one(question: str, seed: int) -> list[Thumb]:
        answers = await page.answers(question, count, seed, SAMPLED)
        for answer in answers:
            await page.press(answer, likes(answer["content"]))
        return [Thumb(likes(answer["content"]), len(answer["content"])) for answer in answers]

    pressed = await asyncio.gather(*(one(q, first_seed + number * count) for number, q in enumerate(questions)))
    return [thumb for thumbs in pressed for thumb in thumbs]


async def asked(page: Page, questions: Sequence[str], sampling: dict) -> list[bool]:
    """Whether the answer to each question is liked; one that has no words is not."""
    found = await asyncio.gather(*(page.answers(question, 1, 10**6, sampling) for question in questions))
    return [any(likes(answer["content"]) for answer in answers) for answers in found]


def compared(first: Sequence[bool], now: Sequence[bool]) -> Wins:
    """How often the answer now is liked and the first is not, against the other way round."""
    from scipy.stats import binomtest

    points = [0.5 + (b - a) / 2 for a, b in zip(first, now, strict=True)]
    rate = estimate("mean", [Observation(str(n), str(n), point) for n, point in enumerate(points)])
    won, lost = points.count(1.0), points.count(0.0)
    p = binomtest(won, won + lost).pvalue if won + lost else 1.0
    return Wins(rate, p, statistics.fmean(first), statistics.fmean(now))


def with_length(thumbs: Iterable[Thumb]) -> float:
    """Spearman's correlation of the taste with the number of characters."""
    from scipy.stats import spearmanr

    liked, lengths = zip(*thumbs, strict=True)
    return float(spearmanr(lengths, liked).statistic)


async def go_through_rounds(url: str, wanted: argparse.Namespace) -> bool:
    """Press and improve, and say what came of it; whether in the end all is as it should be."""
    gates = []
    async with httpx.AsyncClient(base_url=url, headers={"X-Homegrown": "1"}, timeout=600) as http:
        page, (questions, unseen) = Page(http), small_talk()
        unseen = unseen[: wanted.unseen]
        first = {way: await asked(page, unseen, sampling) for way, sampling in WAYS.items()}
        for number in range(wanted.rounds):
            begun = time.monotonic()
            part = questions[number * wanted.prompts : (number + 1) * wanted.prompts]
            thumbs = await press_thumbs(page, part, wanted.answers, number * 10**4)
            pressed = time.monotonic()
            gates.append(await asyncio.to_thread(improve, wanted.passed))
            seconds = pressed - begun, time.monotonic() - pressed
            wins = {way: compared(first[way], await asked(page, unseen, how)) for way, how in WAYS.items()}
            print(told(number + 1, thumbs, gates[-1], seconds, wins), flush=True)
    final = wins["sampled"]
    return final.rate.value > WIN_RATE and final.p < P and not any(gates)


def improve(options: Sequence[str]) -> int:
    """`homegrown improve`; its exit code."""
    return subprocess.run([sys.executable, str(ROOT / "homegrown.py"), "improve", *options], check=False).returncode


def told(number: int, thumbs: list[Thumb], gate: int, seconds: tuple[float, float], wins: dict[str, Wins]) -> str:
    """What came of a round, as a person reads it."""
    verdict = "the gate passed" if gate == 0 else f"not promoted (exit code {gate})"
    lines = [
        f"\nround {number}: {len(thumbs)} thumbs, {statistics.fmean(thumb.liked for thumb in thumbs):.0%} of them up, "
        f"correlation with length {with_length(thumbs):+.2f}; {verdict}; "
        f"{seconds[0]:.0f} s of asking, {seconds[1]:.0f} s of improving"
    ]
    for way, found in wins.items():
        rate = found.rate
        lines.append(
            f"  unseen, {way:<10} kind words {found.before:4.0%} -> {found.after:4.0%}   "
            f"win rate {rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f}, n = {rate.n})   p = {found.p:.2g}"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=48, help="asked in a round")
    parser.add_argument("--answers", type=int, default=6, help="to each of them")
    parser.add_argument("--unseen", type=int, default=96, help="prompts that no round asks")
    parser.add_argument("--home", type=Path, help="where to keep everything; default: a folder that is deleted")
    parser.add_argument("passed", nargs="*", help="after --: options of `homegrown improve`")
    wanted, source = parser.parse_args(), home()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOMEGROWN_HOME"] = str(wanted.home or folder)
        for name in (f"models/{DEFAULT_MODEL}", f"exams/{DEFAULT_MODEL}"):
            shutil.copytree(source / name, home() / name, dirs_exist_ok=True)
        settings = read_settings(port=free_port(), images=False)
        with serving(settings, None, [extension]) as (url, engine):
            engine.wait_ready()
            reached = asyncio.run(go_through_rounds(url, wanted))
    print(f"{'reached' if reached else 'not reached'}: win rate above {WIN_RATE}, p < {P}, every gate passed")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
