"""What an eval harness costs: 1,000 chat prompts to a server that answers after 20 ms, 32 in flight, interleaved.

    python benchmarks/harness_speed.py [--lm-eval PYTHON] [--inspect PYTHON] [--promptfoo FOLDER] [--repeats 3]

PYTHON is the interpreter of a virtual environment with lm-eval[api] 0.4.13 or inspect-ai 0.3.285 and openai, FOLDER
one where `npm install node@22 promptfoo@0.123.1` ran. Prints medians: prompts per second from the first request's
arrival at the server to the last reply, the seconds before it, and those of the whole command.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

PROMPTS, IN_FLIGHT, LATENCY_S = 1000, 32, 0.02
ANSWER = "The capital is Paris."
OFFLINE = {f"{name}_OFFLINE": "1" for name in ("HF_HUB", "HF_DATASETS", "TRANSFORMERS")}
SILENT = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
SILENT |= {"PROMPTFOO_DISABLE_REMOTE_GENERATION": "true"}


@dataclass(frozen=True)
class Contender:
    """A harness and its command line, made for the server's URL and an empty folder of its own."""

    name: str
    command: Callable[[str, Path], Sequence[object]]
    environment: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """Prompts per second from the first arrival to the last reply; seconds until that first one, and in all."""

    prompts_per_s: float
    start_s: float
    command_s: float


def serve() -> None:
    """Answer chat completions on a free port, which is printed; /timing tells of the requests since the last time."""
    from aiohttp import web

    seen: list[float] = []
    message = {"role": "assistant", "content": ANSWER}
    reply = {"id": "c", "object": "chat.completion", "created": 0, "model": "tiny"}
    reply |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]}
    reply |= {"usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18}}
    body = json.dumps(reply)

    async def chat(request: web.Request) -> web.Response:
        arrived = time.perf_counter()
        await request.read()
        await asyncio.sleep(LATENCY_S)
        seen.extend((arrived, time.perf_counter()))
        return web.Response(text=body, content_type="application/json")

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    async def timing(request: web.Request) -> web.Response:
        told = {"requests": len(seen) // 2, "first": min(seen, default=0), "last": max(seen, default=0)}
        seen.clear()
        return web.json_response(told)

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/v1/models", models)
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/timing", timing)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def bare(url: str, prompts: Path, out: Path) -> None:
    """The least that a client can do: post every prompt, append every reply to a JSONL file."""
    import aiohttp

    questions = iter([json.loads(line)["question"] for line in prompts.read_text().splitlines()])

    async def work(session: aiohttp.ClientSession, file) -> None:
        for question in questions:
            body = {"model": "tiny", "messages": [{"role": "user", "content": question}]}
            async with session.post(f"{url}/chat/completions", json=body | {"temperature": 0, "max_tokens": 32}) as got:
                reply = await got.json()
            text = reply["choices"][0]["message"]["content"]
            file.write(json.dumps({"question": question, "text": text}) + "\n")
            file.flush()

    async def run() -> None:
        with out.open("w") as file:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:
                await asyncio.gather(*(work(session, file) for _ in range(IN_FLIGHT)))

    asyncio.run(run())


def bare_command(url: str, folder: Path) -> list[object]:
    return [sys.executable, __file__, "--bare", url, write_prompts(folder), folder / "replies.jsonl"]


def our_command(url: str, folder: Path) -> list[object]:
    task = {"name": "prompts", "data": str(write_prompts(folder)), "max_tokens": 32, "scores": ["refused"]}
    suite = write_json(folder / "suite.yaml", {"name": "speed", "tasks": [task]})
    program = Path(sys.executable).parent / "homegrown"
    how = ["--plain", "--concurrency", IN_FLIGHT, "--out", folder / "out"]
    return [program, "eval", "run", "--base-url", url, "--suite", suite, *how]


def lm_eval_command(python: str) -> Callable[[str, Path], list[object]]:
    def command(url: str, folder: Path) -> list[object]:
        task = {"task": "prompts", "dataset_path": "json", "dataset_name": None, "test_split": "test"}
        task |= {
            "dataset_kwargs": {"data_files": {"test": str(write_prompts(folder))}},
            "output_type": "generate_until",
        }
        task |= {"doc_to_text": "{{question}}", "doc_to_target": "{{answer}}"}
        task |= {"generation_kwargs": {"max_gen_toks": 32, "do_sample": False, "until": []}}
        task |= {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]}
        write_json(folder / "prompts.yaml", task)
        model = f"model=tiny,base_url={url}/chat/completions,num_concurrent={IN_FLIGHT}"
        what = ["--include_path", folder, "--tasks", "prompts", "--output_path", folder / "out", "--log_samples"]
        start = [
            Path(python).absolute(),
            "-m",
            "lm_eval",
            "run",
            "--model",
            "local-chat-completions",
            "--model_args",
            model,
        ]
        return [*start, "--apply_chat_template", *what]

    return command


def inspect_command(python: str, *options: str) -> Callable[[str, Path], list[object]]:
    def command(url: str, folder: Path) -> list[object]:
        (folder / "prompts.py").write_text(
            "from inspect_ai import Task, task\n"
            "from inspect_ai.dataset import FieldSpec, json_dataset\n"
            "from inspect_ai.scorer import includes\n\n\n"
            "@task\ndef prompts():\n"
            f"    fields = FieldSpec(input='question', target='answer')\n"
            f"    return Task(dataset=json_dataset({str(write_prompts(folder))!r}, fields), scorer=includes())\n"
        )
        bounds = ["--max-connections", IN_FLIGHT, "--max-samples", IN_FLIGHT, "--temperature", 0, "--max-tokens", 32]
        start = [Path(python).absolute().parent / "inspect", "eval", "prompts.py", "--model", "openai-api/local/tiny"]
        where = ["--model-base-url", url, "--log-dir", folder / "out", "--display", "none"]
        return [*start, *bounds, *where, *options]

    return command


def promptfoo_command(installed: str) -> Callable[[str, Path], list[object]]:
    def command(url: str, folder: Path) -> list[object]:
        asked = [json.loads(line) for line in write_prompts(folder).read_text().splitlines()]
        check = [{"type": "contains", "value": "Paris"}]
        config = {"apiBaseUrl": url, "apiKey": "none", "temperature": 0, "max_tokens": 32}
        whole = {"prompts": ["{{question}}"], "providers": [{"id": "openai:chat:tiny", "config": config}]}
        whole["tests"] = [{"vars": {"question": row["question"]}, "assert": check} for row in asked]
        written = write_json(folder / "promptfooconfig.yaml", whole)
        programs = Path(installed).absolute() / "node_modules" / ".bin"
        quiet = ["--no-cache", "--no-table", "--no-progress-bar", "-o", folder / "out.json"]
        return [programs / "node", programs / "promptfoo", "eval", "-c", written, "-j", IN_FLIGHT, *quiet]

    return command


def write_prompts(folder: Path) -> Path:
    """The same 1,000 questions for everybody."""
    rows = [
        {"id": str(n), "question": f"What is the capital of country {n}?", "answer": ANSWER} for n in range(PROMPTS)
    ]
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_json(path: Path, content: object) -> Path:
    """JSON is YAML too."""
    path.write_text(json.dumps(content))
    return path


@contextmanager
def server():
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def measure(contender: Contender, url: str) -> Measured:
    """One run of the whole command. Raises SystemExit with its output when it did not ask every prompt once."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(part) for part in contender.command(f"{url}/v1", Path(folder))]
        environment = os.environ | contender.environment | {"PROMPTFOO_CONFIG_DIR": folder, "HOMEGROWN_HOME": folder}
        # Whoever sets this has every import compiled anew, which no user does.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        started = time.perf_counter()
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    with urllib.request.urlopen(f"{url}/timing") as told:
        timing = json.load(told)
    if timing["requests"] != PROMPTS:
        sys.exit(
            f"{contender.name} sent {timing['requests']} requests:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
        )
    # On Linux `perf_counter` is one clock for all processes.
    return Measured(PROMPTS / (timing["last"] - timing["first"]), timing["first"] - started, seconds)


def contenders(given: argparse.Namespace) -> list[Contender]:
    """Those that can be run here."""
    found = [Contender("bare aiohttp", bare_command, {}), Contender("homegrown", our_command, {})]
    if given.lm_eval:
        found.append(Contender("lm-eval", lm_eval_command(given.lm_eval), OFFLINE))
    if given.promptfoo:
        found.append(Contender("promptfoo", promptfoo_command(given.promptfoo), SILENT))
    if given.inspect:
        key = {"LOCAL_API_KEY": "none"}
        found.append(Contender("inspect_ai", inspect_command(given.inspect), key))
        quiet = inspect_command(given.inspect, "--no-log-realtime")
        found.append(Contender("inspect_ai --no-log-realtime", quiet, key))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=3, help=argparse.SUPPRESS)
    for peer in ("lm-eval", "inspect", "promptfoo"):
        parser.add_argument(f"--{peer}", metavar="FOLDER" if peer == "promptfoo" else "PYTHON")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.serve:
        return serve()
    if given.bare:
        return bare(given.bare[0], Path(given.bare[1]), Path(given.bare[2]))
    compare(contenders(given), given.repeats)
    missing = [name for name in ("lm_eval", "promptfoo", "inspect") if getattr(given, name) is None]
    print(
        "".join(
            f"{name.replace('_', '-')}: not installed, name it with --{name.replace('_', '-')}\n" for name in missing
        )
    )


def compare(everybody: Sequence[Contender], repeats: int) -> None:
    """Print medians over the repeats, in each of which every contender runs once; ratios are taken inside a repeat."""
    runs: dict[str, list[Measured]] = {contender.name: [] for contender in everybody}
    with server() as url:
        for _ in range(repeats):
            for contender in everybody:
                measured = measure(contender, url)
                runs[contender.name].append(measured)
                print(f"{contender.name}: {measured.prompts_per_s:,.0f}/s, {measured.command_s:.2f} s", file=sys.stderr)
    print("| harness | prompts/s | ours / theirs | start-up, s | whole command, s | theirs / ours |")
    print("|---|---|---|---|---|---|")
    for name, theirs in runs.items():
        rate, start, seconds = (statistics.median(column) for column in zip(*map(astuple, theirs), strict=True))
        pairs = list(zip(runs["homegrown"], theirs, strict=True))
        faster = statistics.median(we.prompts_per_s / they.prompts_per_s for we, they in pairs)
        sooner = statistics.median(they.command_s / we.command_s for we, they in pairs)
        print(f"| {name} | {rate:,.0f} | {faster:.2f} | {start:.2f} | {seconds:.2f} | {sooner:.2f} |")


if __name__ == "__main__":
    main()
