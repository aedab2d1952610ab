"""What our API costs in front of vLLM: the same requests to both, alternating, in one run.

    python benchmarks/serve_overhead.py MODEL [--streams 64] [--rounds 7] [--tokens 128]

All checks are on: requests come with a key from the database that has limits on requests and tokens. The load comes
from a process of its own. Prints the start-up time, and for one stream and for many the median over the rounds of:
tokens per second through vLLM, through us and their ratio (to reach: 0.97 with many); time to the first token of both
and what we add to it (to reach: 3 ms with one).
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

PLENTY = 10**9


@dataclass(frozen=True)
class Server:
    """Where to ask, `url` ending in /v1, and with which key."""

    url: str
    key: str


@dataclass(frozen=True)
class Measured:
    """One round: tokens per second over all streams, median seconds to the first token."""

    throughput: float
    first_token_s: float


async def one_stream(session: object, url: str, model: str, tokens: int) -> float:
    """Stream one answer of exactly `tokens` tokens; the seconds until its first chunk with text or token."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
    }
    started, first, chunks = time.perf_counter(), None, 0
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if line.startswith(b"data: {"):
                chunks += 1
                # The first chunk only names the role and comes before any token.
                if chunks == 2:
                    first = time.perf_counter() - started
                    assert "choices" in json.loads(line.removeprefix(b"data: "))
    return first


async def one_round(server: Server, model: str, streams: int, tokens: int) -> Measured:
    """`streams` answers at once."""
    import aiohttp

    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        # A client keeps its connections; what they cost is no part of an answer.
        async with session.get(f"{server.url}/models") as answer:
            assert answer.status == 200, await answer.text()
        started = time.perf_counter()
        firsts = await asyncio.gather(*(one_stream(session, server.url, model, tokens) for _ in range(streams)))
        seconds = time.perf_counter() - started
    return Measured(streams * tokens / seconds, statistics.median(firsts))


def load(server: Server, model: str, streams: int, tokens: int) -> Measured:
    """One round in a process that does nothing else."""
    return asyncio.run(one_round(server, model, streams, tokens))


def compare(pool: Executor, bare: Server, ours: Server, model: str, streams: int, rounds: int, tokens: int) -> str:
    """A row of the table: medians over alternating rounds, after one round of each to warm up."""
    pairs = []
    for number in range(rounds + 1):
        order = (bare, ours) if number % 2 else (ours, bare)
        measured = {server: pool.submit(load, server, model, streams, tokens).result() for server in order}
        if number:
            pairs.append((measured[bare], measured[ours]))
    bare_speed, our_speed = (statistics.median(pair[side].throughput for pair in pairs) for side in (0, 1))
    bare_first, our_first = (1e3 * statistics.median(pair[side].first_token_s for pair in pairs) for side in (0, 1))
    ratio = statistics.median(us.throughput / them.throughput for them, us in pairs)
    later = statistics.median(1e3 * (us.first_token_s - them.first_token_s) for them, us in pairs)
    return (
        f"| {streams} | {bare_speed:,.0f} | {our_speed:,.0f} | {ratio:.3f} "
        f"| {bare_first:.1f} | {our_first:.1f} | {later:+.1f} |"
    )


def main() -> None:
    """Serve the model and print the table."""
    from serving.engine import free_port
    from serving.keys import KeyStore, on_database
    from serving.limits import KeyLimits
    from serving.serve import serving
    from serving.settings import read_settings

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    started = time.monotonic()
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, processes) as pool:
        database = f"sqlite+aiosqlite:///{folder}/keys.db"
        settings = read_settings(port=free_port(), images=False, database_url=database)
        limits = KeyLimits(PLENTY, PLENTY, PLENTY)
        _, key = on_database(lambda database: KeyStore(database).create("bench", "load", limits=limits), settings)
        with serving(settings, given.model) as (url, engine):
            engine.wait_ready()
            print(f"ready after {time.monotonic() - started:.1f} s\n")
            print("| streams | vLLM tok/s | ours tok/s | ratio | vLLM TTFT ms | ours TTFT ms | difference |")
            print("|---|---|---|---|---|---|---|")
            bare, ours = Server(engine.base_url, "none"), Server(f"{url}/v1", key)
            for streams in (1, given.streams):
                row = compare(pool, bare, ours, engine.model_name, streams, given.rounds, given.tokens)
                print(row, flush=True)


if __name__ == "__main__":
    main()
