"""Many chat pages at once on one server: is every answer whole, exactly once, and does the server's memory stay flat?

    python benchmarks/page_streams.py [--pages 200] [--minutes 5] [--pause 0.5]

Starts `homegrown serve` with a home of its own in front of tests/obedient_model.py, which writes a word every `--pause`
seconds. Every page asks, follows the answer, reloads once at a random moment, compares what it was shown with what
the model said and with what is kept, and asks again in a new conversation. Exit code 1 when anything was wrong.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SAMPLE_S = 5.0
START_S = 300
STOP_S = 60


@dataclass
class Seen:
    """What happened: outcomes by name, seconds to the first text, characters shown, MiB of memory over time."""

    outcomes: Counter[str] = field(default_factory=Counter)
    first_text_s: list[float] = field(default_factory=list)
    characters: int = 0
    memory: list[float] = field(default_factory=list)


class Page:
    """One page that asks question after question until `deadline`."""

    def __init__(self, number: int, http: aiohttp.ClientSession, seen: Seen, deadline: float) -> None:
        self.number, self.http, self.seen, self.deadline = number, http, seen, deadline
        self.chance = random.Random(number)

    async def run(self) -> None:
        """Ask until the time is over; the last answer is followed to its end."""
        await asyncio.sleep(self.chance.uniform(0, 5))
        turn = 0
        while time.monotonic() < self.deadline:
            turn += 1
            question = f"prose {self.chance.randint(1, 3)} for page {self.number}, question {turn}"
            try:
                self.seen.outcomes[await self.ask(question)] += 1
            except (aiohttp.ClientError, TimeoutError, AssertionError) as error:
                self.seen.outcomes[f"error: {type(error).__name__} {str(error)[:80]}"] += 1
                await asyncio.sleep(1)

    async def ask(self, question: str) -> str:
        """What became of one question."""
        from tests.obedient_model import said

        conversation = (await self._json("POST", "/api/conversations", {}))["id"]
        asked = time.monotonic()
        begun = await self._json("POST", f"/api/conversations/{conversation}/turns", {"content": question})
        answer = begun["assistant"]["id"]
        await self._follow(answer, asked, leave_after=self.chance.randint(1, 40))
        shown, message = await self._follow(answer, None)
        kept = (await self._json("GET", f"/api/conversations/{conversation}"))["messages"]
        wanted = said(question, {"messages": [{"role": "user", "content": question}]})
        if [one["role"] for one in kept] != ["user", "assistant"]:
            return "messages lost or doubled"
        if message["state"] != "done":
            return f"ended as {message['state']}: {message['error']}"
        if not shown == message["content"] == kept[1]["content"] == wanted:
            return "text lost or doubled"
        self.seen.characters += len(shown)
        return "whole"

    async def _follow(self, answer: str, asked: float | None, leave_after: int | None = None) -> tuple[str, dict]:
        """Text and message when the stream ends; left early after so many events of text."""
        from tests.page_events import parsed

        shown, texts = "", 0
        async with self.http.get(f"/api/messages/{answer}/events") as stream:
            assert stream.status == 200, await stream.text()
            lines: list[str] = []
            async for line in stream.content:
                lines.append(line.decode().rstrip("\n"))
                if lines[-1]:
                    continue
                for name, data in parsed(lines):
                    if name == "snapshot":
                        shown = data["content"]
                    elif name == "text":
                        shown, texts = shown + data["text"], texts + 1
                    elif name in ("done", "error"):
                        return shown, data["message"]
                if shown and asked:
                    self.seen.first_text_s.append(time.monotonic() - asked)
                    asked = None
                if texts == leave_after:
                    return shown, {}
                lines = []
        raise AssertionError("the stream ended without an end")

    async def _json(self, method: str, path: str, body: dict | None = None) -> dict:
        async with self.http.request(method, path, json=body) as answer:
            assert answer.status < 300, f"{answer.status} at {path}: {await answer.text()}"
            return await answer.json()


async def measure(url: str, server: int, pages: int, seconds: float) -> Seen:
    """All pages at once."""
    seen = Seen()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"X-Homegrown": "1"}
    async with aiohttp.ClientSession(url, headers=headers, timeout=timeout, connector=connector) as http:
        # For the first answer the server imports LangChain, which takes seconds.
        assert await Page(0, http, Seen(), 0).ask("How are you?") == "whole"
        deadline = time.monotonic() + seconds
        sampling = asyncio.create_task(sample(server, seen))
        await asyncio.gather(*(Page(number, http, seen, deadline).run() for number in range(pages)))
        sampling.cancel()
    return seen


async def sample(server: int, seen: Seen) -> None:
    """Note the server's resident memory every few seconds."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    while True:
        seen.memory.append(int(Path(f"/proc/{server}/statm").read_text().split()[1]) * page_bytes / 2**20)
        await asyncio.sleep(SAMPLE_S)


def serve(engine_url: str, port: int, home: str) -> subprocess.Popen:
    """The server, ready to answer."""
    import httpx

    command = [sys.executable, "homegrown.py", "serve", "--engine-url", engine_url, "--port", str(port), "--no-images"]
    with Path(home, "stderr").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HOMEGROWN_HOME": home}, stderr=log)
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.5)
    server.kill()
    sys.exit(f"The server did not become ready: {Path(home, 'stderr').read_text()[-2000:]}")


def print_table(seen: Seen, pages: int, seconds: float) -> None:
    """What was seen, a line each."""
    fifth = max(1, len(seen.memory) // 5)
    rows = {
        "pages": pages,
        "seconds": f"{seconds:.0f}",
        "answers": seen.outcomes.total(),
        **{f"  {outcome}": count for outcome, count in seen.outcomes.most_common()},
        "characters per second": f"{seen.characters / seconds:.0f}",
        "first text, median": f"{statistics.median(seen.first_text_s):.2f} s",
        "first text, 99 of 100": f"{statistics.quantiles(seen.first_text_s, n=100)[-1]:.2f} s",
        "memory, second fifth of the time": f"{statistics.mean(seen.memory[fifth : 2 * fifth]):.0f} MiB",
        "memory, last fifth of the time": f"{statistics.mean(seen.memory[-fifth:]):.0f} MiB",
    }
    for name, value in rows.items():
        print(f"{name:34} {value}")


def main() -> None:
    """Run it."""
    from serving.engine import free_port
    from tests.obedient_model import ObedientModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two words of an answer")
    given = parser.parse_args()
    port, began = free_port(), time.monotonic()
    with tempfile.TemporaryDirectory() as home, ObedientModel(given.pause) as model:
        server = serve(model.base_url, port, home)
        try:
            began = time.monotonic()
            seen = asyncio.run(measure(f"http://127.0.0.1:{port}", server.pid, given.pages, given.minutes * 60))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_S)
    print_table(seen, given.pages, time.monotonic() - began)
    sys.exit(set(seen.outcomes) != {"whole"})


if __name__ == "__main__":
    main()
