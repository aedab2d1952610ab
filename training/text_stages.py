"""The stages that make an assistant from text: tokenizer, pretraining, fine-tuning, and its embedder."""

import json
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from prompts.library import FOLDER, chat_template, tool_schemas
from serving.embedder import check_embedder_folder
from serving.errors import UserError
from serving.home import home
from serving.hub import download
from serving.model_folder import Lineage, Source, check_model_folder, read_object, resolve_model
from training.checkpoints import write_whole
from training.corpus.locations import digest_of, locate
from training.corpus.readers import read_rows
from training.corpus.sources import SourceReport, SourceSpec
from training.job import EmbedderJob, EmbedderResult
from training.launch import Layout, cores, layout_for, run_ranks
from training.mixing import ENDLESS
from training.progress import LiveLine
from training.recipe import Dress, Recipe
from training.rendering import Renderer, marks_answers
from training.section import LoraSection
from training.shape import parameters_of, shape_of
from training.stage import Stage, TrainerStage, sha256
from training.tokenizer import train_tokenizer
from training.tokens import StreamReport, write_rows
from training.units import write_documents, write_pairs

ALMANAC = SourceSpec(name="almanac", kind="text")
COMPILED_FROM_S = 240
FLOPS_A_PROCESS = {"cpu": 1e11, "cuda": 2e14}
SWAPS = FOLDER / "probes" / "swaps.yaml"
POSITIONS = ("max_position_embeddings", "n_positions")
"""What configs call the number of positions that a model knows; some say nothing of it."""


class TextStage(Stage):
    """Reads text from the sources of its section."""

    @classmethod
    def look_ahead(cls, recipe: Recipe) -> None:
        for source in getattr(recipe, cls.name).sources:
            if source.name not in (*ENDLESS, "copies"):
                _look_into(source.name, getattr(source, "encoding", "utf-8"))
            if passages := getattr(source, "passages", None):
                _look_into(passages)


def _look_into(name: str, encoding: str = "utf-8") -> None:
    """Raise `UserError` where a source is not there, or not even its files' first rows can be read."""
    for file in locate(name):
        next(read_rows(file, encoding), None)


class TokenizerStage(TextStage):
    """Learns the vocabulary."""

    name = "tokenizer"

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "runs" / recipe.name / "tokenizer" / "model"

    def further_inputs(self) -> dict:
        return {
            "sources": _fingerprints(self.section.sources),
            "model": self.recipe.model.model_dump(mode="json"),
            "dress": False,
            "template": _template(),
            "parent": None,
        }

    def grow(self) -> Lineage:
        started = time.monotonic()
        with LiveLine() as line:
            line.show("tokenizer  reading text and merging bytes")
            folder = self.folder / "model.part"
            reports = train_tokenizer(self.section, self.recipe.model.context, self.recipe.seed, folder)
            line.show(f"tokenizer  {self.section.vocabulary:,} tokens from {sum(r.rows for r in reports):,} documents")
        shutil.rmtree(self.output, ignore_errors=True)
        folder.rename(self.output)
        return self.lineage([_source(report) for report in reports], time.monotonic() - started, {})

    def place(self, lineage: Lineage) -> None:
        write_whole(self.output / "lineage.json", lineage.model_dump_json(indent=1))


class EmbedderStage(TextStage):
    """Grows a yardstick of meaning."""

    name, module = "embedder", "training.embedder"

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / f"{recipe.name}-embedder"

    def further_inputs(self) -> dict:
        wordings = fingerprint(ALMANAC) if self.section.wordings else None
        return {"sources": _fingerprints(self.section.sources), "wordings": wordings}

    def check(self, folder: Path) -> None:
        check_embedder_folder(folder)

    def grow(self) -> Lineage:
        job = EmbedderJob(section=self.section, seed=self.recipe.seed, folder=self.folder)
        if not self.is_trained(job.result):
            path = self.folder / "job.json"
            write_whole(path, job.model_dump_json())
            run_ranks(self.module, path, Layout("cpu", 1, cores()))
        result = EmbedderResult.model_validate_json(job.result.read_text())
        name_unusable(result.sources)
        return self.lineage(
            [_source(report) for report in result.sources], result.seconds, result.metrics, tokens=result.tokens
        )


class PackedStage(TextStage, TrainerStage):
    """Trains a language model on packed rows of tokens."""

    before: ClassVar[type[Stage]]
    """The stage whose result it starts from."""
    reports: list[StreamReport]

    def further_inputs(self) -> dict:
        dress = self.recipe.dress(self.section)
        return {
            "sources": _fingerprints(self.section.sources),
            "model": self.model_inputs(),
            "dress": dress.model_dump(),
            "template": _template(),
            "parent": self.parent_digest or self.parent,
        } | offered(dress)

    def model_inputs(self) -> dict | str:
        return self.recipe.model.model_dump(mode="json")

    def find_parent(self) -> str:
        return parent_or_grown(None, self.before, self.recipe)

    def grow(self) -> Lineage:
        self.tokenizer = trainable_tokenizer(self)
        layout = self.layout()
        steps = self.steps(layout)
        self.write_data(steps, "data")
        name_unusable([source for stream in self.reports for source in stream.sources])
        result = self.train(layout, steps)
        tokens = steps * self.section.per_step
        return self.lineage(_sources(self.reports), result.seconds, result.metrics, tokens=tokens)

    def compiled(self, layout: Layout) -> bool:
        """From cold it costs half a minute, and it saves a tenth to a fifth of the time."""
        if self.section.compile != "auto":
            return self.section.compile
        budget = self.section.parsed_budget()
        speed = FLOPS_A_PROCESS[layout.device] * layout.processes * layout.threads / (6 * self.parameters())
        seconds = budget.seconds if budget.amount is None else budget.amount / speed
        return seconds >= COMPILED_FROM_S and shutil.which("g++") is not None

    def write_data(self, steps: int, name: str) -> None:
        with LiveLine() as line:
            self.reports = write_rows(
                self.section,
                steps,
                self.tokenizer,
                self.recipe.dress(self.section),
                self.recipe.seed,
                self.folder / name,
                lambda share: line.show(f"{self.name}  writing {name}  {share:.0%}"),
            )


class PretrainStage(PackedStage):
    """A new model from text."""

    name, module, before = "pretrain", "training.pretrain", TokenizerStage

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / f"{recipe.name}-base"

    def parameters(self) -> int:
        return parameters_of(shape_of(self.recipe.model), self.recipe.tokenizer.vocabulary)


class SftStage(PackedStage):
    """A model that converses."""

    name, before = "sft", PretrainStage

    @property
    def module(self) -> str:
        return "training.private" if self.section.privacy else "training.finetune"

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / recipe.name

    def further_inputs(self) -> dict:
        swapped = {"swaps": digest_of([SWAPS])} if self.section.fairness else {}
        return super().further_inputs() | swapped

    def grow(self) -> Lineage:
        check_positions(self.parent, "sft.row", self.section.row)
        return super().grow()

    def layout(self) -> Layout:
        """With privacy one process: the noise is added to the gradients of all documents at once."""
        processes = 1 if self.section.privacy else self.section.processes
        return layout_for(self.section.rows_per_batch, self.parameters(), processes)

    def write_data(self, steps: int, name: str) -> None:
        section, folder = self.section, self.folder / name
        super().write_data(0 if section.privacy else steps, name)
        if section.privacy:
            self.reports = [write_documents(section, self._renderer(), self.recipe.seed, folder / "training")]
        if section.fairness:
            write_pairs(section, self._renderer(), self.recipe.seed, folder / "pairs")

    def _renderer(self) -> Renderer:
        return Renderer(self.tokenizer, self.recipe.dress(self.section))

    def model_inputs(self) -> str:
        return self.recipe.model.saved_as

    def find_parent(self) -> str:
        return parent_or_grown(self.section.base or self.recipe.base, self.before, self.recipe)

    @property
    def base(self) -> str:
        return self.parent

    def parameters(self) -> int:
        """A model on the Hugging Face hub counts as large."""
        weights = [file.stat().st_size for file in Path(self.parent).glob("*.safetensors")]
        return sum(weights) // 4 or 10**9

    def compiled(self, layout: Layout) -> bool:
        """Layers in 4 bits run as they are, and those whose gradients are looked at document by document."""
        section = self.section
        return super().compiled(layout) and not (section.privacy or (section.lora and section.lora.quantised))


def parent_or_grown(base: str | None, stage: type[Stage], recipe: Recipe, instead: str = "name a base") -> str:
    """The folder or Hugging Face id that `base` means, or without one what `stage` of the recipe made.

    Raises `UserError` when it is not there, `ModelFolderError` when it cannot be used. `instead` is the way out for a
    recipe without such a stage.
    """
    if base:
        parent = resolve_model(base)
        if Path(parent).is_dir():
            check_model_folder(Path(parent), chat=False)
        return parent
    folder = stage.output_of(recipe)
    if not folder.is_dir():
        if getattr(recipe, stage.name) is None:
            raise UserError(f"{folder} is not there, and the recipe has no section {stage.name}: {instead}.")
        raise UserError(f"{folder} is not there yet: run `homegrown train {stage.name}` with this recipe first.")
    return str(folder)


def trainable_tokenizer(stage: Stage) -> Path:
    """The folder whose tokenizer and chat template `stage` trains with."""
    return fit_tokenizer(stage.parent, getattr(stage.section, "lora", None), stage.folder)


def fit_tokenizer(model: str, lora: LoraSection | None, work: Path) -> Path:
    """The folder with the tokenizer and chat template that `model` is trained with: its own, if that marks answers.

    Otherwise they are made fit for training in the folder `work`; an adapter that stays one cannot bring a template.
    """
    own = Path(model)
    if own.is_dir() and marks_answers(own):
        return own
    folder, job = work / "tokenizer", work / "tokenizer.json"
    keep = bool(lora and not lora.merge)
    write_whole(job, json.dumps({"model": model, "folder": str(folder), "keep": keep}))
    run_ranks("training.foreign", job, Layout("cpu", 1, 1))
    return folder


def positions_of(folder: Path) -> int | None:
    """How many positions the model in a folder knows; None where its config.json says nothing of it."""
    config = read_object(folder / "config.json", "name a folder that transformers' save_pretrained wrote")
    config = config.get("text_config") or config
    return next((known for key in POSITIONS if isinstance(known := config.get(key), int)), None)


def check_positions(model: str, dial: str, tokens: int) -> None:
    """Raise `UserError` where the `tokens` that `dial` of the recipe says are more than `model` has positions for."""
    folder = Path(model) if Path(model).is_dir() else download(model, ["config.json"])
    known = positions_of(folder)
    if known and tokens > known:
        raise UserError(
            f"{dial} is {tokens} tokens, and {model} knows only {known} positions: lower it (`--set {dial}={known}`)."
        )


def _template() -> str:
    return sha256(chat_template().encode())


def offered(dress: Dress) -> dict[str, str]:
    """The further input of a stage whose conversations are written with the schemas of tools."""
    return {} if dress.tools is None else {"schemas": sha256(json.dumps(tool_schemas()).encode())}


def _fingerprints(sources: Iterable[SourceSpec]) -> dict[str, str]:
    """By name; a source that is named twice with other options may have two."""
    found: dict[str, list[str]] = {}
    for source in sources:
        found.setdefault(source.name, []).append(fingerprint(source))
    return {name: " ".join(dict.fromkeys(prints)) for name, prints in found.items()}


def fingerprint(source: SourceSpec) -> str:
    """Something that changes when the source does, or the groups that its documents are copied about."""
    own = _own_fingerprint(source)
    return sha256(f"{own}{digest_of([SWAPS])}".encode()) if source.counterfactual else own


def _own_fingerprint(source: SourceSpec) -> str:
    """From file sizes and times, or for the almanac from its generator and facts."""
    if source.name == "copies":
        return "copies"
    if source.name == "almanac":
        folder = Path(__file__).parent / "corpus" / "almanac"
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".yaml", ".txt"))
        return sha256(b"".join(path.read_bytes() for path in files))
    named = [source.name] if source.passages is None else [source.name, source.passages]
    paths = [path for name in named for path in locate(name)]
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return sha256(repr((files, source.revision)).encode())


def name_unusable(reports: list[SourceReport]) -> None:
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
                entry.sha256 = sha256(f"{entry.sha256}{report.sha256}".encode()) if entry.sha256 else report.sha256
    return [_source(report) for report in found.values()]
