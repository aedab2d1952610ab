"""kill -9 in the middle of many streams: is everybody told, is everything kept, and is it back by itself?

    python benchmarks/kills.py [--kills 10] [--streams 100] [--only vllm images server] [--scripted]

Starts `homegrown serve --supervise` with a home of its own, the taught model of the tests and a tiny image model;
`--scripted` puts tests/obedient_model.py in the place of vLLM, which takes minutes less. Half of the streams are pages,
half are clients of /v1/chat/completions. Killed are, one after the other:

vllm     every client must get one error event, the page's messages must be kept as they were shown
images   pictures are being drawn and wait: each of their clients must be told, and the text streams must go on
server   the connections break; then the page's answers must be there as far as they were saved, marked interrupted

Before the next kill the server must be ready by itself, and must answer. Exit code 1 when anything was not clean.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.obedient_model import MODEL, ObedientModel
from tests.open_streams import SCRIPTED, TAUGHT, ApiStream, PageStream, Stream, Talk, opened
from tests.operated import Operated
from tests.tiny_model import write_taught_model
from tests.tiny_pipelines import write_tiny_pipeline

CONTEXT = 16_384
PAUSE_S = 0.1
PICTURES = 24
"""In flight at a kill of the image worker: more than its queue takes."""
SAVED_EVERY_S = 1.0
"""A crash may take the text of the last second; the time that saving many answers takes comes on top."""
MOST_LOST_S = 3.0
# Command lines.
HTTP_SERVER, ENGINE = r"^\S+ -m vllm\.", "EngineCore"
PROMPT = {"prompt": "a red circle", "n": 4, "num_inference_steps": 200, "stream": True, "size": "64x64"}


@dataclass
class Seen:
    """Over all kills of one kind: what ended cleanly, what did not and why, what was lost, seconds until ready."""

    streams: int = 0
    clean: int = 0
    lost: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    behind_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)

    def ended(self, troubles: list[str]) -> None:
        """Count how streams ended, "" cleanly."""
        self.streams += len(troubles)
        self.clean += troubles.count("")
        self.troubles.update(trouble for trouble in troubles if trouble)


class House:
    """The running server and what is asked of it."""

    def __init__(self, server: Operated, http: aiohttp.ClientSession, talk: Talk, streams: int) -> None:
        self.server, self.http, self.talk = server, http, talk
        self.pages, self.clients = (streams + 1) // 2, streams // 2

    async def opened(self) -> tuple[list[Stream], list[asyncio.Task]]:
        """All streams, in the middle of their answers."""
        return await opened(self.http, self.talk, self.pages, self.clients)

    async def back(self, killed: float, worker_restarts: int | None = None) -> float:
        """Seconds from the kill until it answers again; pictures too, when their worker has been started so often."""
        await asyncio.to_thread(self.server.wait_ready)
        if worker_restarts is not None:
            await asyncio.to_thread(self.server.wait, lambda: self.has_worker_after(worker_restarts))
        seconds = time.monotonic() - killed
        async with self.http.post("/v1/chat/completions", json=self.talk.short) as answer:
            assert (await answer.json())["choices"][0]["message"]["content"] == self.talk.answer
        return seconds

    def has_worker_after(self, restarts: int) -> bool:
        """Whether it draws again; the state alone may still be that before the kill."""
        counted = self.server.metric('homegrown_engine_restarts_total{engine="images"}')
        return counted == restarts and self.server.metric('homegrown_engine_ready{engine="images"}') == 1

    async def kill_vllm(self, number: int, seen: Seen) -> None:
        """Alternately its HTTP server and the engine behind that."""
        streams, tasks = await self.opened()
        killed = kill(self.server.one_of(ENGINE if number % 2 else HTTP_SERVER))
        await asyncio.gather(*tasks)
        seen.ended([stream.trouble("engine_unavailable") for stream in streams])
        seen.ready_s.append(await self.back(killed))
        for page in pages_of(streams):
            await check_kept(page, seen, lambda page, kept: (kept["state"], kept["content"]) == ("failed", page.shown))

    async def kill_server(self, number: int, seen: Seen) -> None:
        """The process that answers; its engines die with it."""
        streams, tasks = await self.opened()
        await asyncio.sleep(2 * SAVED_EVERY_S)
        killed = kill(self.server.server())
        await asyncio.gather(*tasks)
        seen.ended([stream.trouble(None) for stream in streams])
        seen.ready_s.append(await self.back(killed))

        def as_saved(page: PageStream, kept: dict) -> bool:
            seen.behind_s.append(page.seconds_behind(kept["content"], killed))
            return kept["state"] == "interrupted" and starts_alike(kept["content"], page.shown)

        for page in pages_of(streams):
            await check_kept(page, seen, as_saved)

    async def kill_images(self, number: int, seen: Seen) -> None:
        """The worker, while it draws."""
        streams, tasks = await self.opened()
        drawing = asyncio.Event()
        pictures = [asyncio.create_task(self.picture(drawing)) for _ in range(PICTURES)]
        await asyncio.wait_for(drawing.wait(), 60)
        before = [len(stream.shown) for stream in streams]
        killed = kill(self.server.one_of(r"^\S+ -m serving\.images\.worker"))
        seen.pictures.update(await asyncio.gather(*pictures))
        seen.ready_s.append(await self.back(killed, worker_restarts=number + 1))
        drawn = await self.picture(drawing, PROMPT | {"n": 1, "num_inference_steps": 2})
        assert drawn == "drawn", f"after the restart: {drawn}"
        goes_on = [len(stream.shown) > length for stream, length in zip(streams, before, strict=True)]
        seen.ended(
            ["" if on and stream.end is None else "stood still" for on, stream in zip(goes_on, streams, strict=True)]
        )
        await asyncio.gather(*(page.stop() for page in pages_of(streams)))
        for stream, task in zip(streams, tasks, strict=True):
            if isinstance(stream, ApiStream):
                task.cancel()
        await asyncio.wait(tasks)
        for page in pages_of(streams):
            await check_kept(page, seen, lambda page, kept: (kept["state"], kept["content"]) == ("stopped", page.shown))

    async def picture(self, drawing: asyncio.Event, wish: dict = PROMPT) -> str:
        """What became of a wish for a picture; sets `drawing` when one is being drawn."""
        async with self.http.post("/v1/images/generations", json=wish) as answer:
            if answer.status != 200:
                code = (await answer.json())["error"]["code"]
                return (
                    f"{answer.status} {code}" if answer.headers.get("Retry-After") else f"{answer.status} without when"
                )
            text = ""
            try:
                async for piece in answer.content.iter_any():
                    text += piece.decode()
                    if ": step" in text:
                        drawing.set()
            except (aiohttp.ClientError, ConnectionError):
                return "cut"
        last = text.rstrip("\n").rpartition("\n\n")[2].rpartition("data: ")[2]
        event = json.loads(last) if last.startswith("{") else {}
        if "error" in event:
            return f"event {event['error']['code']}"
        return "drawn" if event.get("type") == "image_generation.completed" else "no end"


CLEAN_PICTURES = {"429 queue_full", "event engine_unavailable", "503 engine_unavailable"}


def kill(pid: int) -> float:
    """Kill it; when."""
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def pages_of(streams: list[Stream]) -> list[PageStream]:
    """Those whose messages are kept."""
    return [stream for stream in streams if isinstance(stream, PageStream)]


def starts_alike(one: str, other: str) -> bool:
    """Whether one is the beginning of the other."""
    return one.startswith(other) or other.startswith(one)


async def check_kept(page: PageStream, seen: Seen, is_right: Callable[[PageStream, dict], bool]) -> None:
    """Count the answer as lost unless the server has it as it should be."""
    try:
        kept = await page.kept()
        if is_right(page, kept):
            return
        seen.troubles[f"kept as {kept['state']}, {len(kept['content'])} of {len(page.shown)} characters"] += 1
    except AssertionError as error:
        seen.troubles[str(error)] += 1
    seen.lost += 1


async def measure(server: Operated, talk: Talk, kinds: list[str], kills: int, streams: int) -> dict[str, Seen]:
    """All kills of one kind, then those of the next."""
    found = {}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(
        server.url, headers={"X-Homegrown": "1"}, timeout=timeout, connector=connector
    ) as http:
        house = House(server, http, talk, streams)
        works: dict[str, Callable[[int, Seen], Awaitable[None]]] = {
            "vllm": house.kill_vllm,
            "images": house.kill_images,
            "server": house.kill_server,
        }
        await house.back(time.monotonic(), worker_restarts=0 if "images" in kinds else None)
        for kind in kinds:
            seen = found[kind] = Seen()
            for number in range(kills):
                await works[kind](number, seen)
                print(
                    f"{kind} {number + 1} of {kills}: ready after {seen.ready_s[-1]:.1f} s", file=sys.stderr, flush=True
                )
    return found


def is_clean(seen: Seen) -> bool:
    """Whether nothing at all was wrong."""
    return (
        not seen.troubles
        and seen.lost == 0
        and set(seen.pictures) <= CLEAN_PICTURES
        and max(seen.behind_s, default=0.0) <= MOST_LOST_S
    )


def print_table(found: dict[str, Seen]) -> None:
    """A column for each kind."""
    rows: dict[str, Callable[[Seen], object]] = {
        "kills": lambda seen: len(seen.ready_s),
        "streams open at the kill": lambda seen: seen.streams // len(seen.ready_s),
        "streams that ended as they should": lambda seen: f"{seen.clean} of {seen.streams}",
        "answers of the page lost or doubled": lambda seen: seen.lost,
        "text not saved, at most": lambda seen: f"{max(seen.behind_s):.1f} s" if seen.behind_s else "-",
        "ready again, median": lambda seen: f"{statistics.median(seen.ready_s):.1f} s",
        "ready again, longest": lambda seen: f"{max(seen.ready_s):.1f} s",
    }
    print(f"{'killed':40}" + "".join(f"{kind:>16}" for kind in found))
    for name, value in rows.items():
        print(f"{name:40}" + "".join(f"{value(seen)!s:>16}" for seen in found.values()))
    for kind, seen in found.items():
        for outcome, count in [*seen.pictures.items(), *seen.troubles.most_common(10)]:
            print(f"{kind}: {count:4} x {outcome}")


def write_text_model(home: Path) -> Path:
    """The taught model with a context that holds a song of minutes."""
    model = write_taught_model(home / "models" / "taught")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": CONTEXT}))
    return model


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each kind")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=["vllm", "images", "server"])
    parser.add_argument("--scripted", action="store_true", help="no vLLM")
    given = parser.parse_args()
    kinds = given.only or [*(() if given.scripted else ("vllm",)), "images", "server"]
    endless = {"HOMEGROWN_AGENT_SECONDS": "3600", "HOMEGROWN_AGENT_TOKENS": "12000", "HOMEGROWN_SHUTDOWN_S": "1"}
    with contextlib.ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        os.environ["HOMEGROWN_HOME"] = str(home)
        flags = [] if "images" in kinds else ["--no-images"]
        if "images" in kinds:
            write_tiny_pipeline(home / "models" / "images", "PixelPipeline")
        if given.scripted:
            model, talk = Path(MODEL), SCRIPTED
            flags += ["--engine-url", opened.enter_context(ObedientModel(PAUSE_S)).base_url]
        else:
            model, talk = write_text_model(home), TAUGHT
            flags += ["--dtype", "float32"]
        server = Operated(model, home, *flags, **endless)
        opened.callback(server.stop)
        found = asyncio.run(measure(server, talk, kinds, given.kills, given.streams))
    print_table(found)
    sys.exit(not all(map(is_clean, found.values())))


if __name__ == "__main__":
    main()
