"""Packed token shards: what a stage trains on, written once by all cores and read through memory maps.

A stage's data folder holds one folder per phase with a fixed number of streams, each one file of packed rows. What a
stream holds depends on the recipe and its number alone, never on how many processes wrote it; finished streams stay
when the writing is interrupted.
"""

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from serving.errors import UserError
from training.corpus.sources import SourceReport, SourceSpec
from training.launch import cores, die_with_parent
from training.mixing import documents_of, mixed
from training.prefix_packing import ROW, pack
from training.recipe import Dress, TrainingSection
from training.rendering import Document, Renderer
from training.tokenizer import forms_of_words

STREAM_TOKENS, MOST_STREAMS = 1_000_000, 16
BLOCK_ROWS = 256
BATCH = 256
FIRST_ORDINARY_ID = 4


class StreamJob(BaseModel):
    """What one stream is made of; `part` is (its number, the number of streams that share the sources)."""

    model_config = ConfigDict(frozen=True)

    path: Path
    tokenizer: Path
    sources: list[SourceSpec]
    dress: Dress
    answers_only: bool
    rows: int
    row: int
    seed: int
    part: tuple[int, int]
    held_out: bool = False


class StreamReport(BaseModel):
    """What went into one stream: documents and tokens by source, and what the sources said about themselves."""

    documents: dict[str, int]
    tokens: dict[str, int]
    too_long: dict[str, int]
    sources: list[SourceReport]


class PackedRows:
    """All rows of a stage in training order: phase after phase, shuffled within each. Items are arrays of `ROW`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._files: list[np.ndarray] = []
        places = []
        for number, phase in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
            files = [np.load(path, mmap_mode="r") for path in sorted(phase.glob("*.npy"))]
            local = [(len(self._files) + i, j) for i, file in enumerate(files) for j in range(len(file))]
            order = np.random.default_rng([seed, number]).permutation(len(local))
            places.append(np.array(local, np.int64).reshape(-1, 2)[order])
            self._files.extend(files)
        self._places = np.concatenate(places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        file, row = self._places[index]
        return np.array(self._files[file][row])


def write_rows(
    section: TrainingSection,
    steps: int,
    tokenizer: Path,
    dress: Dress,
    seed: int,
    folder: Path,
    progress: Callable[[float], None],
) -> list[StreamReport]:
    """Write `steps` batches of rows into `folder`/training, divided between the phases by their shares.

    And into `folder`/validation up to `validation_tokens` of held-out documents, from the sources of all phases.
    Returns what went into the training rows. Raises `UserError` when there is too little room on the disk or a source
    cannot be used.
    """
    total = sum(phase.share for phase in section.phases)
    ends = np.cumsum([phase.share / total for phase in section.phases])
    bounds = [0, *(round(float(end) * steps) for end in ends)]
    training = []
    for number, phase in enumerate(section.phases):
        rows = (bounds[number + 1] - bounds[number]) * section.rows_per_batch
        path = folder / "training" / f"{number:02}"
        training += _phase_jobs(section, phase.sources, rows, tokenizer, dress, [seed, number], path)
    _write(_validation_jobs(section, tokenizer, dress, seed, folder / "validation") + training, progress)
    return [StreamReport.model_validate_json(_report_path(job).read_text()) for job in training]


def _validation_jobs(
    section: TrainingSection, tokenizer: Path, dress: Dress, seed: int, folder: Path
) -> list[StreamJob]:
    # Of a source that keeps nothing there is nothing to validate on: one without an end would be searched for ever.
    sources = [source for source in section.sources if source.name != "copies" and source.held_out]
    distinct = list({source.model_dump_json(): source for source in sources}.values())
    rows = section.validation_tokens // section.row
    if not rows or not distinct:
        return []
    return [_job(section, distinct, rows, tokenizer, dress, seed, folder / "00" / "00.npy", (0, 1), held_out=True)]


def _phase_jobs(
    section: TrainingSection,
    sources: list[SourceSpec],
    rows: int,
    tokenizer: Path,
    dress: Dress,
    seed: list[int],
    folder: Path,
) -> list[StreamJob]:
    streams = min(MOST_STREAMS, max(2, rows * section.row // STREAM_TOKENS), rows)
    seeds = np.random.SeedSequence(seed).generate_state(1)
    bounds = [rows * number // streams for number in range(streams + 1)] if streams else []
    return [
        _job(
            section,
            sources,
            bounds[number + 1] - bounds[number],
            tokenizer,
            dress,
            int(seeds[0]),
            folder / f"{number:02}.npy",
            (number, streams),
        )
        for number in range(streams)
    ]


def _job(section, sources, rows, tokenizer, dress, seed, path, part, held_out=False) -> StreamJob:
    return StreamJob(
        path=path,
        tokenizer=tokenizer,
        sources=sources,
        dress=dress,
        answers_only=section.answers_only,
        rows=rows,
        row=section.row,
        seed=seed,
        part=part,
        held_out=held_out,
    )


def _write(jobs: list[StreamJob], progress: Callable[[float], None]) -> None:
    todo = [job for job in jobs if not job.path.exists()]
    _check_room(todo)
    if not todo:
        return
    with ProcessPoolExecutor(min(cores(), len(todo)), get_context("spawn"), initializer=die_with_parent) as pool:
        running = [pool.submit(write_stream, job) for job in todo]
        try:
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                progress(done / len(todo))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_room(jobs: list[StreamJob]) -> None:
    needed = sum(job.rows * job.row for job in jobs) * ROW.itemsize
    if jobs:
        jobs[0].path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(jobs[0].path.parent).free
        if free < needed:
            raise UserError(
                f"{jobs[0].path.parent} has {free / 1e6:.0f} MB left and the training data need {needed / 1e6:.0f} MB: "
                "free some, or set HOMEGROWN_HOME to a larger disk."
            )


def _report_path(job: StreamJob) -> Path:
    return job.path.with_suffix(".json")


def write_stream(job: StreamJob) -> None:
    """Write the rows of one stream and its report; the rows appear last and at once."""
    stream = _Stream(job)
    rows = stream.rows()
    job.path.parent.mkdir(parents=True, exist_ok=True)
    _report_path(job).write_text(stream.report().model_dump_json())
    unfinished = job.path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, rows)
    unfinished.replace(job.path)


class _Stream:
    """Draws documents from the mixture until enough rows are packed."""

    def __init__(self, job: StreamJob) -> None:
        self.job = job
        self.rng = random.Random(job.seed * 1_000 + job.part[0])
        self.renderer = Renderer(job.tokenizer, job.dress)
        self.reports = [SourceReport(name=source.name) for source in job.sources]
        self.used = [0] * len(job.sources)
        self.tokens = [0] * len(job.sources)
        self.too_long = [0] * len(job.sources)

    def rows(self) -> np.ndarray:
        job = self.job
        pad_id = self.renderer.pad_id
        packed: list[np.ndarray] = []
        count = 0
        documents = mixed(
            [(spec.weight, self._encoded(number)) for number, spec in enumerate(job.sources)],
            lambda document: len(document.ids),
        )
        while count < job.rows and (block := self._block(documents)):
            rows = pack(block, job.row, pad_id, self.rng)[: job.rows - count]
            packed.append(rows)
            count += len(rows)
        return np.concatenate(packed) if packed else np.zeros((0, job.row), ROW)

    def _block(self, documents: Iterator[Document]) -> list[Document]:
        """Documents for about `BLOCK_ROWS` rows, or for what is still missing."""
        wanted = min(BLOCK_ROWS, self.job.rows) * self.job.row
        block, tokens = [], 0
        for document in documents:
            block.append(document)
            tokens += len(document.ids)
            if tokens >= wanted:
                break
        return block

    def _encoded(self, number: int) -> Iterator[Document]:
        """Documents of one source that fit into a row: long texts are cut, long conversations left out."""
        spec = self.job.sources[number]
        if spec.name == "copies":
            tokenizer = self.renderer.tokenizer
            forms = {token: group for group in forms_of_words(tokenizer) for token in group}
            while True:
                yield self._counted(number, copies(self.rng, tokenizer.get_vocab_size(), forms, self.job.row))
        source = documents_of(
            spec,
            self.job.seed,
            self.reports[number],
            self.job.held_out,
            once=self.job.held_out,
            part=self.job.part,
            token_count=self.renderer.token_count,
        )
        for batch in _batches(source, BATCH):
            if spec.kind == "text":
                encoded = self.renderer.texts([document["text"] for document in batch])
            else:
                encoded = self.renderer.conversations(batch, self.job.answers_only)
            for document in encoded:
                if spec.kind == "text":
                    for piece in cut(document, self.job.row):
                        yield self._counted(number, piece)
                elif len(document.prefix) + len(document.ids) <= self.job.row:
                    yield self._counted(number, document)
                else:
                    self._left_out(number)

    def _counted(self, number: int, document: Document) -> Document:
        self.used[number] += 1
        self.tokens[number] += len(document.ids)
        return document

    def _left_out(self, number: int) -> None:
        self.too_long[number] += 1
        if self.too_long[number] >= 1_000 and self.too_long[number] > 9 * self.used[number]:
            raise UserError(
                f"{self.too_long[number]} of the first {self.too_long[number] + self.used[number]} conversations of "
                f"{self.job.sources[number].name} are longer than a row of {self.job.row} tokens: raise `row`."
            )

    def report(self) -> StreamReport:
        names = [f"{number} {source.name}" for number, source in enumerate(self.job.sources)]
        return StreamReport(
            documents=dict(zip(names, self.used, strict=True)),
            tokens=dict(zip(names, self.tokens, strict=True)),
            too_long=dict(zip(names, self.too_long, strict=True)),
            sources=self.reports,
        )


def _batches(items: Iterator[dict], size: int) -> Iterator[list[dict]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def cut(document: Document, row: int) -> Iterator[Document]:
    """A long text in pieces of at most `row` tokens; the first token of a piece has nothing to be predicted from."""
    for start in range(0, len(document.ids), row):
        counted = document.counted[start : start + row].copy()
        counted[0] = False
        yield Document((), document.ids[start : start + row], counted)


def copies(rng: random.Random, vocabulary: int, forms: dict[int, list[int]], row: int) -> Document:
    """Random tokens said two or three times, with loss on the repetitions.

    Nothing but copying predicts them, so the heads that copy (a name out of the question into the answer) form early.
    A repetition may begin with another form of its first word, as the argument of a tool call does: `forms` holds the
    tokens that have some.
    """

    def draw(fewest: int, most: int) -> list[int]:
        return [rng.randrange(FIRST_ORDINARY_ID, vocabulary) for _ in range(rng.randint(fewest, most))]

    said, between = draw(5, 20), draw(0, 4)
    ids = draw(0, 6) + said
    counted = [False] * len(ids)
    for _ in range(rng.choice((1, 1, 2))):
        ids += [*between, rng.choice(forms.get(said[0], said[:1])), *said[1:]]
        counted += [False] * (len(between) + 1) + [True] * (len(said) - 1)
    return Document((), np.array(ids[:row], np.int64), np.array(counted[:row]))
