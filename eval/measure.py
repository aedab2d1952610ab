"""From a plan to a result: finds or starts what answers, asks it what is missing, writes the summary."""

import asyncio
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from eval.data import Inputs
from eval.engines import BaseUrl, serving
from eval.lm_eval.ask import LmEval, is_lm_eval
from eval.records import PICTURES
from eval.requests import Compare
from eval.result import Result, read_result, write_summary
from eval.run import FolderScorer, Plan, Run, identify, plan
from eval.suite import joined
from eval.systems.lineage import kept_lineage
from eval.target import Target, served_model
from prompts.library import persona
from serving.errors import UserError
from serving.home import home


@dataclass(frozen=True)
class Measurement:
    """What the user asked for: which model, which suites, and how."""

    model: str | None
    suites: Sequence[str]
    base_url: str | None = None
    api_key: str | None = None
    questions: Path | None = None
    out: Path | None = None
    limit: int | None = None
    concurrency: int = 32
    plain: bool = False
    system: str | None = None
    """The name of a persona, or a text file; None: as served."""
    likelihood: Literal["auto", "folder", "endpoint"] = "auto"
    pictures: str | None = None
    """What the model learnt to draw; see `Inputs`."""
    training_text: Path | None = None
    held_out_text: Path | None = None
    exam: str | None = None
    """Whose exam is asked where it is not the model's own: that of the first of several systems."""
    called: str | None = None
    """The name of the model among several systems."""
    prompts: Path | None = None
    documents: Path | None = None
    full: bool = False
    """These three are for the prompting suite; see `Inputs`."""


@dataclass(frozen=True)
class Model:
    """The model under test: its name at an endpoint, and its folder if it has one on this machine."""

    name: str
    folder: Path | None
    sha256: str | None


def measure(wanted: Measurement, on_start: Callable[[Run], None] = lambda run: None) -> Result:
    """Ask everything that is missing, and write summary.json. KeyboardInterrupt, which SIGTERM raises too, leaves
    every reply on disk.

    Raises `UserError` for everything that the user can put right.
    """
    model = _model(wanted)
    inputs = Inputs(
        wanted.exam or model.name,
        wanted.questions,
        model.folder,
        wanted.pictures,
        wanted.training_text,
        wanted.held_out_text,
        wanted.prompts,
        wanted.documents,
        wanted.full,
    )
    system = _system_prompt(wanted)
    elsewhere = _lm_eval(wanted, model)
    suite = elsewhere.suite if elsewhere else joined(wanted.suites)
    planned = plan(suite, inputs, wanted.plain, None if elsewhere else wanted.limit, system)
    compares = _are_comparisons(planned)
    if compares and model.folder is None and not wanted.base_url:
        model = _embedder(model.name)
    folder = wanted.out or home() / "reports" / _folder_name(planned, model.name)
    identity = identify(planned, model.name, model.sha256, wanted.plain)
    identity |= {"system": system, "lineage": kept_lineage(model.folder), "called": wanted.called}
    run = Run(planned, identity, folder)
    on_start(run)
    started = time.perf_counter()
    in_process = bool(elsewhere) or _scores_in_process(wanted, model)
    with _terminated_as_interrupted():
        if run.needs_endpoint(in_process):
            with _endpoint(wanted, model, planned) as base_url:
                asyncio.run(_ask(run, base_url, wanted, model))
        if in_process and run.needs_scorer():
            run.score(elsewhere or _folder_scorer(model.folder, compares))
    result = read_result(folder)
    write_summary(result, time.perf_counter() - started, without_key(sys.argv))
    return result


def without_key(command: Sequence[str]) -> list[str]:
    """The command as it may be printed: summaries and reports are passed on."""
    hidden = [re.sub("^(--api-key=).*", r"\1...", word) for word in command]
    return ["..." if before == "--api-key" else word for before, word in zip(["", *command], hidden, strict=False)]


def _system_prompt(wanted: Measurement) -> str | None:
    if wanted.system is None:
        return None
    if wanted.plain:
        raise UserError("--plain leaves the system prompt out and --system gives one: choose one of them.")
    path = Path(wanted.system)
    try:
        return path.read_text(encoding="utf-8").strip() if path.is_file() else persona(wanted.system)
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"The system prompt {wanted.system!r} cannot be read: name a text file, or one of prompts/personas/."
        ) from None


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends what is under way as Ctrl-C does: the engine is stopped, and the command says how to resume."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _ask(run: Run, base_url: BaseUrl, wanted: Measurement, model: Model) -> None:
    pictures = run.folder / PICTURES
    async with Target(base_url, model.name, api_key=wanted.api_key, pictures=pictures) as target:
        await run.ask(target, wanted.concurrency, only_generate=_scores_in_process(wanted, model))


def _scores_in_process(wanted: Measurement, model: Model) -> bool:
    if wanted.likelihood == "folder" and model.folder is None:
        raise UserError(f"The model {model.name!r} has no folder here: score it with --likelihood endpoint.")
    return model.folder is not None and wanted.likelihood != "endpoint"


def _lm_eval(wanted: Measurement, model: Model) -> LmEval | None:
    """That harness, where one of its tasks is wanted."""
    if not is_lm_eval(wanted.suites):
        return None
    base_url = wanted.base_url and wanted.base_url.rstrip("/")
    return LmEval(wanted.suites[0], str(model.folder or model.name), base_url, wanted.api_key, wanted.limit)


def _folder_scorer(folder: Path, compares: bool) -> FolderScorer:
    if compares:
        from eval.vectors import Comparer

        return Comparer(folder)
    from eval.likelihood.folder import Folder

    return Folder(folder)


def _are_comparisons(planned: Plan) -> bool:
    """Whether an embedder is wanted. Raises `UserError` when a model of another kind is wanted too."""
    kinds = {isinstance(case.request, Compare) for case in planned.cases}
    if len(kinds) > 1:
        raise UserError("These suites ask an embedder and a model that answers: ask each in a run of its own.")
    return kinds == {True}


def _embedder(name: str) -> Model:
    """The embedder with a Hugging Face id: nothing serves it, so its files are brought here."""
    from serving.embedder import find_embedder
    from serving.model_folder import folder_digest

    folder = find_embedder(name)
    return Model(name, folder, folder_digest(folder))


def _model(wanted: Measurement) -> Model:
    if wanted.base_url:
        return Model(served_model(wanted.base_url.rstrip("/"), wanted.model, wanted.api_key), None, None)
    if wanted.model is None:
        raise UserError("Say what to measure: a model (`homegrown eval run almanac`) or an endpoint with --base-url.")
    from serving.model_folder import folder_digest, resolve_model

    resolved = resolve_model(wanted.model)
    if not Path(resolved).is_dir():
        return Model(resolved, None, None)
    folder = Path(resolved).resolve()
    return Model(folder.name, folder, folder_digest(folder))


@contextmanager
def _endpoint(wanted: Measurement, model: Model, planned: Plan) -> Iterator[BaseUrl]:
    """Where the model answers: the user's endpoint, or an engine of ours that serves it meanwhile."""
    if wanted.base_url:
        url = wanted.base_url.rstrip("/")
        yield lambda: url
        return
    requests = [case.request for case in planned.cases]
    with serving(str(model.folder or model.name), requests, wanted.concurrency, wanted.api_key) as base_url:
        yield base_url


def _folder_name(planned: Plan, model: str) -> str:
    names = [re.sub(r"[^\w.-]+", "-", name) for name in (planned.suite.name, model.rstrip("/").split("/")[-1])]
    return f"{names[0]}-{names[1]}-{datetime.now():%Y%m%d-%H%M%S}"
