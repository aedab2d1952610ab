"""Runs the stages of a recipe: skips those whose inputs are unchanged, resumes those that were interrupted.

A stage works in `runs/<recipe>/<stage>/`, where `inputs.json` says what it is made from and `stamp.json`, written
last, what came out. Results are the folders `models/<recipe>-base`, `models/<recipe>` and
`models/<recipe>-embedder`.
"""

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path

from eval.embedder import check_embedder_folder
from prompts.library import chat_template
from serving.errors import UserError
from serving.home import home
from serving.model_folder import Lineage, Source, check_model_folder, finish_model_folder, folder_digest, resolve_model
from training.checkpoints import write_whole
from training.corpus.sources import SourceReport, SourceSpec, locate
from training.exam import is_examined, write_exam
from training.job import EmbedderJob, EmbedderResult, Job, Result
from training.launch import Layout, cores, is_disk_full, layout_for, run_ranks
from training.progress import LiveLine
from training.publish import replace_folder, versions
from training.recipe import Recipe
from training.rendering import marks_answers
from training.shape import parameters_of, shape_of
from training.tokenizer import train_tokenizer
from training.tokens import StreamReport, write_rows

STAGES = ("tokenizer", "pretrain", "sft", "embedder")
PARENTLESS = ("tokenizer", "embedder")
MODULES = {"pretrain": "training.pretrain", "sft": "training.finetune", "embedder": "training.embedder"}
ALMANAC = SourceSpec(name="almanac", kind="text")
SAMPLED_STEPS = 24
COMPILED_FROM_S = 240
FLOPS_A_PROCESS = {"cpu": 1e11, "cuda": 2e14}


def run_recipe(recipe: Recipe, only: str | None = None) -> Path:
    """Run all stages of `recipe`, or `only` one whose parents are done. Returns the last result's folder."""
    result = None
    for stage in STAGES if only is None else (only,):
        if getattr(recipe, stage) is not None:
            result = _run_stage(recipe, stage)
        if stage == "tokenizer" and is_examined(recipe):
            write_exam(recipe, output_of(recipe, stage))
    if result is None:
        raise UserError(f"The recipe {recipe.name} has no section {only or ' or '.join(STAGES)}.")
    return result


def _run_stage(recipe: Recipe, stage: str) -> Path:
    try:
        return Stage(recipe, stage).run()
    except OSError as error:
        if not is_disk_full(error, home()):
            raise
        raise UserError(f"The disk of {home()} is full: free some room and run the same command again.") from None


def output_of(recipe: Recipe, stage: str) -> Path:
    """Where a stage's result is, done or not."""
    folders = {
        "tokenizer": home() / "runs" / recipe.name / "tokenizer" / "model",
        "pretrain": home() / "models" / f"{recipe.name}-base",
        "sft": home() / "models" / recipe.name,
        "embedder": home() / "models" / f"{recipe.name}-embedder",
    }
    return folders[stage]


class Stage:
    """One stage of one recipe. `parent` is what it starts from: a folder, for fine-tuning perhaps a Hugging Face id."""

    def __init__(self, recipe: Recipe, name: str) -> None:
        self.recipe, self.name = recipe, name
        self.section = getattr(recipe, name)
        self.folder = home() / "runs" / recipe.name / name
        self.output = output_of(recipe, name)
        self.parent = self._parent()
        self.inputs = self._inputs()
        self.tokenizer = Path(self.parent or "")

    def run(self) -> Path:
        """Do what is still to be done; returns the folder of the result."""
        if self._is_done():
            print(f"{self.name}  unchanged: {self.output}", flush=True)
            return self.output
        if _read(self.folder / "inputs.json") != self.inputs:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "inputs.json", json.dumps(self.inputs, indent=1))
        grow = {"tokenizer": self._grow_tokenizer, "embedder": self._grow_embedder}.get(self.name, self._train)
        lineage = grow()
        self._publish(lineage)
        return self.output

    def _parent(self) -> str | None:
        if self.name in PARENTLESS:
            return None
        if self.name == "sft" and self.section.base:
            parent = resolve_model(self.section.base)
            if Path(parent).is_dir():
                check_model_folder(Path(parent), chat=False)
            return parent
        before = "tokenizer" if self.name == "pretrain" else "pretrain"
        folder = output_of(self.recipe, before)
        if not folder.is_dir():
            raise UserError(f"{folder} is not there yet: run `homegrown train {before}` with this recipe first.")
        return str(folder)

    def _parent_digest(self) -> str | None:
        return folder_digest(Path(self.parent)) if self.parent and Path(self.parent).is_dir() else None

    def _inputs(self) -> dict:
        """Everything that the result depends on."""
        recipe = self.recipe
        phases = [self.section] if self.name in PARENTLESS else self.section.phases
        sources = [source for phase in phases for source in phase.sources]
        inputs = {
            "section": self.section.model_dump(mode="json"),
            "seed": recipe.seed,
            "sources": {source.name: _fingerprint(source) for source in sources},
            "versions": versions(),
        }
        if self.name == "embedder":
            return inputs | {"wordings": _fingerprint(ALMANAC) if self.section.wordings else None}
        return inputs | {
            "model": recipe.model.model_dump(mode="json") if self.name != "sft" else recipe.model.saved_as,
            "dress": self.name != "tokenizer" and recipe.dress(self.section).model_dump(),
            "template": _sha256(chat_template().encode()),
            "parent": self._parent_digest() or self.parent,
        }

    def _is_done(self) -> bool:
        stamp = _read(self.folder / "stamp.json")
        if stamp is None or stamp["inputs"] != self.inputs or not self.output.is_dir():
            return False
        return stamp["sha256"] == folder_digest(self.output)

    def _grow_tokenizer(self) -> Lineage:
        started = time.monotonic()
        with LiveLine() as line:
            line.show("tokenizer  reading text and merging bytes")
            folder = self.folder / "model.part"
            reports = train_tokenizer(self.section, self.recipe.model.context, self.recipe.seed, folder)
            line.show(f"tokenizer  {self.section.vocabulary:,} tokens from {sum(r.rows for r in reports):,} documents")
        shutil.rmtree(self.output, ignore_errors=True)
        folder.rename(self.output)
        return self._lineage([_source(report) for report in reports], 0, time.monotonic() - started, {})

    def _grow_embedder(self) -> Lineage:
        job = EmbedderJob(section=self.section, seed=self.recipe.seed, folder=self.folder)
        if not self._is_trained(job.result):
            path = self.folder / "job.json"
            write_whole(path, job.model_dump_json())
            run_ranks(MODULES[self.name], path, Layout("cpu", 1, cores()))
        result = EmbedderResult.model_validate_json(job.result.read_text())
        _name_unusable(result.sources)
        sources = [_source(report) for report in result.sources]
        return self._lineage(sources, result.tokens, result.seconds, result.metrics)

    def _train(self) -> Lineage:
        self.tokenizer = self._fit_tokenizer()
        layout = layout_for(self.section.rows_per_batch, self._parameters(), self.section.processes)
        steps = self._steps(layout)
        reports = self._write_rows(steps, "data")
        _name_unusable([source for stream in reports for source in stream.sources])
        job = self._job(layout, steps, self._compiled(layout))
        if not self._is_trained(job.result):
            run_ranks(MODULES[self.name], job.write(), layout)
        result = Result.model_validate_json(job.result.read_text())
        tokens = steps * self.section.per_step
        return self._lineage(_sources(reports), tokens, result.seconds, result.metrics)

    def _is_trained(self, result: Path) -> bool:
        """Whether only publishing is left."""
        return result.exists() and (self.folder / "model").is_dir()

    def _fit_tokenizer(self) -> Path:
        """The folder whose tokenizer and chat template this stage trains with."""
        own = Path(self.parent)
        if own.is_dir() and marks_answers(own):
            return own
        folder = self.folder / "tokenizer"
        job = self.folder / "tokenizer.json"
        write_whole(job, json.dumps({"model": self.parent, "folder": str(folder)}))
        run_ranks("training.foreign", job, Layout("cpu", 1, 1))
        return folder

    def _job(self, layout: Layout, steps: int, compiled: bool, measuring: bool = False) -> Job:
        return Job(
            recipe=self.recipe,
            stage=self.name,
            folder=self.folder,
            tokenizer=self.tokenizer,
            base=self.parent if self.name == "sft" else None,
            steps=steps,
            layout=layout,
            compiled=compiled,
            measuring=measuring,
        )

    def _compiled(self, layout: Layout) -> bool:
        """Whether compiling pays: from cold it costs half a minute, and it saves a tenth to a fifth of the time."""
        if self.section.compile != "auto":
            return self.section.compile
        budget = self.section.parsed_budget()
        speed = FLOPS_A_PROCESS[layout.device] * layout.processes * layout.threads / (6 * self._parameters())
        seconds = budget.seconds if budget.amount is None else budget.amount / speed
        return seconds >= COMPILED_FROM_S and shutil.which("g++") is not None

    def _parameters(self) -> int:
        """How many parameters the model has, about; a model on the Hugging Face hub counts as large."""
        if self.name == "pretrain":
            return parameters_of(shape_of(self.recipe.model), self.recipe.tokenizer.vocabulary)
        weights = [file.stat().st_size for file in Path(self.parent).glob("*.safetensors")]
        return sum(weights) // 4 or 10**9

    def _steps(self, layout: Layout) -> int:
        """The number of optimizer steps, fixed when first asked for."""
        budget = self.section.parsed_budget()
        if budget.amount is not None:
            return budget.steps(self.section.per_step, None)
        fixed = self.folder / "steps.json"
        if not fixed.exists():
            speed = self.measure(layout, self._compiled(layout)).per_second
            steps = budget.steps(self.section.per_step, speed)
            write_whole(fixed, json.dumps({"steps": steps, "per_second": speed}))
        return json.loads(fixed.read_text())["steps"]

    def measure(self, layout: Layout, compiled: bool) -> Result:
        """How fast this machine trains on a sample of the stage's own data."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_rows(SAMPLED_STEPS, "sample")
        job = self._job(layout, SAMPLED_STEPS, compiled, measuring=True)
        run_ranks(MODULES[self.name], job.write(), layout)
        return Result.model_validate_json(job.result.read_text())

    def _write_rows(self, steps: int, name: str) -> list[StreamReport]:
        with LiveLine() as line:
            return write_rows(
                self.section,
                steps,
                self.tokenizer,
                self.recipe.dress(self.section),
                self.recipe.seed,
                self.folder / name,
                lambda share: line.show(f"{self.name}  writing {name}  {share:.0%}"),
            )

    def _lineage(self, sources: list[Source], tokens: int, seconds: float, metrics: dict[str, float]) -> Lineage:
        return Lineage(
            stage=self.name,
            parent=Path(self.parent).name if self._parent_digest() else self.parent,
            parent_sha256=self._parent_digest(),
            recipe=self.recipe.name,
            sources=sources,
            seed=self.recipe.seed,
            versions=versions(),
            tokens=tokens,
            seconds=round(seconds, 1),
            metrics=metrics,
        )

    def _publish(self, lineage: Lineage) -> None:
        """Put the result in its place at once, then say so; data and checkpoints are not needed any more."""
        if self.name == "tokenizer":
            write_whole(self.output / "lineage.json", lineage.model_dump_json(indent=1))
        else:
            finished = self.folder / "model"
            finish_model_folder(finished, lineage, self.output.name)
            (check_embedder_folder if self.name == "embedder" else check_model_folder)(finished)
            replace_folder(self.output, finished)
        write_whole(
            self.folder / "stamp.json", json.dumps({"inputs": self.inputs, "sha256": folder_digest(self.output)})
        )
        for leftover in ("data", "sample", "checkpoints"):
            shutil.rmtree(self.folder / leftover, ignore_errors=True)
        metrics = "".join(f"  {name.replace('_', ' ')} {value:.3f}" for name, value in lineage.metrics.items())
        print(f"{self.name}  done: {self.output}{metrics}", flush=True)


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _fingerprint(source: SourceSpec) -> str:
    """Something that changes when the source does: file sizes and times, or for the almanac its generator and facts."""
    if source.name == "copies":
        return "copies"
    if source.name == "almanac":
        folder = Path(__file__).parent / "corpus" / "almanac"
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".yaml", ".txt"))
        return _sha256(b"".join(path.read_bytes() for path in files))
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in locate(source.name)]
    return _sha256(repr((files, source.revision)).encode())


def _name_unusable(reports: list[SourceReport]) -> None:
    """Say which rows of the sources could not be used. Streams read the same files: the one that read most counts."""
    most: dict[str, SourceReport] = {}
    for report in reports:
        if sum(report.skipped.values()) > sum(most.setdefault(report.name, report).skipped.values()):
            most[report.name] = report
    for report in most.values():
        if report.unusable():
            print(f"{report.name}: skipped {report.unusable()}", file=sys.stderr)


def _source(report: SourceReport) -> Source:
    return Source(name=report.name, licence=report.licence, rows=report.rows, sha256=report.sha256)


def _sources(reports: list[StreamReport]) -> list[Source]:
    """What a stage read, one entry a source: documents used, and the hash of what they came from."""
    found: dict[str, SourceReport] = {}
    for stream in reports:
        for report, documents in zip(stream.sources, stream.documents.values(), strict=True):
            entry = found.setdefault(report.name, SourceReport(name=report.name, licence=report.licence))
            entry.rows += documents
            if report.sha256 != entry.sha256:  # files hash alike in every stream, generated text does not
                entry.sha256 = _sha256(f"{entry.sha256}{report.sha256}".encode()) if entry.sha256 else report.sha256
    return [_source(report) for report in found.values()]
