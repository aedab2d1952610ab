"""Ask a suite's questions: many at a time, each equal request once, what is already recorded not again."""

import asyncio
import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from eval.completions import MALFORMED
from eval.data import Inputs, Missing
from eval.progress import Progress
from eval.records import Record, RecordFile, read_records
from eval.replies import NoAnswer, Reply
from eval.requests import Draw, Generate, Request, Scorable, digest, request_digest
from eval.suite import Suite
from eval.target import Target
from eval.task import Case, Task, sampled
from serving.errors import UserError

SCORED_AT_ONCE = 256
Keep = Callable[[str, Reply | NoAnswer], None]
WHAT_DIFFERS = {
    "suite": "another suite",
    "model": "another model",
    "model_sha256": "the model's files have changed",
    "plain": "with or without --plain",
    "system": "another system prompt",
    "tasks": "other questions, more or fewer of them, or asked in another way",
    "skipped": "other data are at hand",
}
"""What to say of a field of run.json that is not as it was, and so makes it another run."""
IDENTITY = {"suite": str, "model": str, "plain": bool, "tasks": dict, "skipped": dict}
"""What every run.json has."""


class FolderScorer(Protocol):
    """Likelihoods by a model folder in this process; see `eval.likelihood.folder`."""

    def score_all(self, requests: Sequence[Request]) -> Iterator[Reply | NoAnswer]: ...


@dataclass(frozen=True)
class Plan:
    """Everything that a run will ask, and what it cannot ask and why."""

    suite: Suite
    cases: Sequence[Case]
    skipped: dict[str, str] = field(default_factory=dict)
    """Task -> why its data are not here."""
    samples: dict[str, str] = field(default_factory=dict)
    """Task -> sha256 of its samples."""

    @cached_property
    def digests(self) -> list[str]:
        """The name of every case's request; cases that share one are asked together."""
        return [request_digest(case.request) for case in self.cases]


def plan(
    suite: Suite, inputs: Inputs, plain: bool = False, limit: int | None = None, system: str | None = None
) -> Plan:
    """Read every task's samples and make its requests; `limit` is how many samples a task has at most.

    `system` replaces the system prompt as served, but not one that a sample or a variant brings.

    Raises `UserError` when two samples of a task share an id, or when no task has its data.
    """
    cases: list[Case] = []
    skipped, hashes = {}, {}
    suite = replace(suite, tasks=[task.given(inputs) for task in suite.tasks])
    for task in suite.tasks:
        skipped |= task.without
        try:
            samples = list(task.data(inputs))
        except Missing as missing:
            skipped[task.name] = str(missing)
            continue
        _check_ids(task, samples)
        samples = sampled(samples, limit or task.size)
        hashes[task.name] = digest(samples)
        if system is not None:
            samples = [{"system": system} | sample for sample in samples]
        cases += task.cases(samples, plain)
    if not cases:
        reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items()) or "its tasks have no samples"
        raise UserError(f"The suite {suite.name} has nothing to ask ({reasons}).")
    return Plan(suite, cases, skipped, hashes)


def identify(planned: Plan, model: str, model_sha256: str | None, plain: bool) -> dict[str, Any]:
    """What makes two runs the same: model, samples, and every byte that is sent (prompt, tools, parameters)."""
    tasks = {name: {"samples_sha256": sha256, "cases": 0} for name, sha256 in planned.samples.items()}
    sent = {name: hashlib.sha256() for name in tasks}
    for case, name in zip(planned.cases, planned.digests, strict=True):
        tasks[case.task]["cases"] += 1
        sent[case.task].update(name.encode())
    for name, digested in sent.items():
        tasks[name]["requests_sha256"] = digested.hexdigest()
    return {
        "suite": planned.suite.name,
        "suites": planned.suite.names,
        "model": model,
        "model_sha256": model_sha256,
        "plain": plain,
        "tasks": tasks,
        "skipped": planned.skipped,
    }


class Run:
    """One suite, asked of one model, kept in one folder: run.json (what), records.jsonl (replies).

    Opening a folder that holds another run raises `UserError`; opening one of the same run resumes it.
    """

    def __init__(self, planned: Plan, identity: dict[str, Any], folder: Path):
        self.plan, self.identity, self.folder = planned, identity, folder
        self.tasks: dict[str, Task] = {task.name: task for task in planned.suite.tasks}
        _claim(folder, identity)

    @property
    def records_path(self) -> Path:
        return self.folder / "records.jsonl"

    def missing(self) -> dict[str, list[Case]]:
        """Request hash -> the cases that share this request, are due by now, and have no reply yet."""
        last = {record.key: record for record in read_records(self.records_path)}
        landed = {key for key, record in last.items() if not self._by_today(record).asked_again}
        due = self._due(list(last.values()))
        missing: dict[str, list[Case]] = {}
        for key, case in zip(self.plan.digests, self.plan.cases, strict=True):
            if case.id in due and case.id not in landed:
                missing.setdefault(key, []).append(case)
        return missing

    def _due(self, records: Sequence[Record]) -> set[tuple[str, str, str, int]]:
        """The ids of the cases that are to be asked by now."""
        due = set()
        for name, task in self.tasks.items():
            cases, replied = ([part for part in parts if part.task == name] for parts in (self.plan.cases, records))
            due |= {case.id for case in task.due(cases, replied)}
        return due

    def _by_today(self, record: Record) -> Record:
        """An error with a reply by the scores of today: which replies are useless is theirs to say."""
        return scored(self.tasks[record.task], record) if record.status == "error" and record.reply else record

    def needs_endpoint(self, in_process: bool) -> bool:
        """Whether anything is left that a folder in this process cannot give."""
        left = [cases[0].request for cases in self.missing().values()]
        return not all(isinstance(request, Scorable) for request in left) if in_process else bool(left)

    def needs_scorer(self) -> bool:
        """Whether anything is left that a folder in this process can give."""
        return any(isinstance(cases[0].request, Scorable) for cases in self.missing().values())

    async def ask(self, target: Target, concurrency: int, only_generate: bool = False) -> None:
        """Send what is missing and append records as replies land; a failed request becomes a record with its error.

        `only_generate` leaves likelihoods to `score`. Goes on as long as the replies make further cases due.
        """
        tried: set[tuple[str, str, str, int]] = set()
        while missing := self._untried(tried, only_generate):
            tried |= {case.id for cases in missing.values() for case in cases}
            lanes: dict[int, list[tuple[str, Request]]] = {}
            for key, cases in missing.items():
                lanes.setdefault(_lane(cases[0].request), []).append((key, cases[0].request))
            with self._recording(missing) as keep:
                for in_flight, requests in sorted(lanes.items()):
                    await _ask_lane(target, requests, in_flight or concurrency, keep)

    def _untried(self, tried: set[tuple[str, str, str, int]], only_generate: bool) -> dict[str, list[Case]]:
        """What is missing and was not `tried` yet: a request that failed waits for the next run."""
        missing = {key: [c for c in cases if c.id not in tried] for key, cases in self.missing().items()}
        return {
            key: cases
            for key, cases in missing.items()
            if cases and not (only_generate and isinstance(cases[0].request, Scorable))
        }

    def score(self, scorer: FolderScorer) -> None:
        """Score the likelihoods that are missing in this process, in portions: an interruption loses one of them."""
        missing = {k: cases for k, cases in self.missing().items() if isinstance(cases[0].request, Scorable)}
        keys = list(missing)
        with self._recording(missing) as keep:
            for start in range(0, len(keys), SCORED_AT_ONCE):
                part = keys[start : start + SCORED_AT_ONCE]
                for key, reply in zip(part, scorer.score_all([missing[k][0].request for k in part]), strict=True):
                    keep(key, reply)

    @contextlib.contextmanager
    def _recording(self, missing: dict[str, list[Case]]) -> Iterator[Keep]:
        progress = Progress(Path(self.plan.suite.name).stem, sum(map(len, missing.values())))
        file = RecordFile(self.records_path)

        def keep(key: str, reply: Reply | NoAnswer) -> None:
            for case in missing[key]:
                record = self._record(case, key, reply)
                file.append(record)
                progress.add(record)

        try:
            yield keep
        finally:
            file.close()

    def _record(self, case: Case, key: str, reply: Reply | NoAnswer) -> Record:
        task = self.tasks[case.task]
        place = (case.task, str(case.sample["id"]), case.variant, case.repeat, cluster_of(task, case.sample), key)
        if isinstance(reply, NoAnswer):
            return Record(*place, case.sample, "error", str(reply))
        return scored(task, Record(*place, case.sample, "ok", reply=reply))


def scored(task: Task, record: Record) -> Record:
    """The record of a reply with the scores of today; an error if one fails on the reply or is not a finite number.

    So a mistake in a score costs the records that it meets and not the run, and is mended without asking again. A score
    that raises `NoAnswer` says that the reply is useless, and the request is asked again.
    """
    try:
        scores = task.score(record.sample, record.reply)
        if not all(math.isfinite(value) for value in scores.values() if isinstance(value, float)):
            raise ValueError("not a finite number")
    except NoAnswer as error:
        return replace(record, status="error", error=str(error), scores={}, useless=True)
    except Exception as error:
        said = f"a score failed on the reply ({type(error).__name__}: {error})"
        return replace(record, status="error", error=said, scores={}, useless=False)
    return replace(record, status="ok", error=None, scores=scores, useless=False)


def cluster_of(task: Task, sample: dict) -> str:
    """What the sample's records depend on together."""
    cluster = sample.get(task.cluster)
    return str(sample["id"] if cluster is None else cluster)


def read_identity(folder: Path) -> dict[str, Any]:
    """What `folder` is a run of. Raises `UserError` when it is none."""
    try:
        read = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if all(isinstance(read[name], kind) for name, kind in IDENTITY.items()):
            return read
    except (OSError, *MALFORMED):
        pass
    raise UserError(f"The folder {folder} holds no run (no readable run.json): name a folder of reports.")


async def _ask_lane(target: Target, requests: Sequence[tuple[str, Request]], in_flight: int, keep: Keep) -> None:
    """Keep `in_flight` requests under way until none is left; an exception other than `NoAnswer` ends all of them.

    Whatever ends it, every reply that has landed is kept.
    """
    queue = iter(requests)
    landed: dict[str, Reply | NoAnswer] = {}
    # Bounded, so that a slow score holds requests back and an end by Ctrl-C finds few replies to score.
    ready: asyncio.Queue[str] = asyncio.Queue(maxsize=in_flight)

    async def work() -> None:
        for key, request in queue:
            try:
                landed[key] = await target.ask(request)
            except NoAnswer as error:
                landed[key] = error
            await ready.put(key)

    async def record() -> None:
        for _ in requests:
            key = await ready.get()
            keep(key, landed.pop(key))
            # The next requests go out first: scoring and writing are done while the server is at work on them.
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(record())
            for _ in range(in_flight):
                tasks.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        for key, reply in landed.items():
            keep(key, reply)


def _lane(request: Request) -> int:
    return (request.in_flight or 0) if isinstance(request, Generate | Draw) else 0


def _check_ids(task: Task, samples: Sequence[dict]) -> None:
    seen = set()
    for sample in samples:
        name = str(sample.get("id", ""))
        if not name:
            raise UserError(f"A sample of the task {task.name} has no 'id': give every line one of its own.")
        if name in seen:
            raise UserError(f"Two samples of the task {task.name} have the id {name!r}: ids must differ.")
        seen.add(name)


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    if (folder / "run.json").exists():
        kept = read_identity(folder)
        differing = [said for key, said in WHAT_DIFFERS.items() if kept.get(key) != identity.get(key)]
        if differing:
            raise UserError(
                f"The folder {folder} holds another run ({', '.join(differing)}): name another with --out, "
                "or give the command of that run to resume it."
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "run.json.part"
        written.write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8")
        written.replace(folder / "run.json")
    except OSError as error:
        raise UserError(f"The report folder {folder} cannot be written ({error}): name another with --out.") from None
