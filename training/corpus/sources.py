"""Where training text comes from: a recipe names sources, and each becomes one stream of documents.

`{"text": str}` for pretraining and tokenizers, `{"messages": [...], "tools": [...]}` for chat; `tools` (absent when
there are none) holds names of our tools or whole function schemas, `schemas_of` turns either into schemas.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from prompts.library import tool_schemas
from serving.errors import UserError
from training.corpus.cleaning import fingerprint
from training.corpus.locations import digest_of, locate
from training.corpus.readers import Row, read_rows
from training.corpus.selection import selected
from training.corpus.shapes import words_of
from training.corpus.spec import SourceReport, SourceSpec

__all__ = ["SourceReport", "SourceSpec", "open_source", "schemas_of", "words_of"]

SHUFFLE_BUFFER = 10_000


def open_source(
    spec: SourceSpec,
    *,
    seed: int,
    report: SourceReport,
    held_out: bool = False,
    token_count: Callable[[str], int] | None = None,
) -> Iterator[dict]:
    """The documents of `spec`, in an order that `seed` fixes; files end, `almanac` does not.

    `held_out` picks the share, by hash of the document whatever seed and order, that is otherwise never yielded.
    `token_count` lets the almanac make up names that have as many tokens as real ones.
    Raises `UserError` when the source is missing, damaged or empty, or when too much of it is unusable.
    """
    if spec.licence:
        report.licence = spec.licence
    if spec.name == "copies":
        raise ValueError("the trainer makes the source 'copies' itself")
    if spec.name == "almanac":
        documents = _almanac(spec, seed, report, held_out, token_count)
    else:
        documents = _documents(spec, seed, report, held_out)
    if not spec.counterfactual or held_out:
        return documents
    from training.corpus.counterfactual import balanced

    # A copy may be what was held out itself.
    return (of for of in balanced(documents, spec.counterfactual) if not _is_held_out(of, spec.held_out))


def schemas_of(document: dict) -> list[dict]:
    """OpenAI function schemas of a chat document's tools."""
    return [tool_schemas((tool,))[0] if isinstance(tool, str) else tool for tool in document.get("tools", ())]


def _is_held_out(document: dict, share: float) -> bool:
    return fingerprint(words_of(document)) < share * 2**64


def _almanac(
    spec: SourceSpec, seed: int, report: SourceReport, held_out: bool, token_count: Callable[[str], int] | None
) -> Iterator[dict]:
    from training.corpus import almanac

    if spec.purpose == "tokenizer":
        stream = almanac.tokenizer_documents(seed)
    elif spec.kind == "text":
        stream = almanac.text_documents(seed)
    else:
        stream = almanac.chat_documents(seed, spec.bare, token_count)
    wanted = (document for document in stream if _is_held_out(document, spec.held_out) == held_out)
    return _reported(wanted, spec, report)


def _reported(documents: Iterator[dict], spec: SourceSpec, report: SourceReport) -> Iterator[dict]:
    """`documents` up to the limit, counted, and hashed where the report has no hash of files."""
    digest = None if report.sha256 else hashlib.sha256()
    for document in documents:
        report.rows += 1
        if digest:
            digest.update(json.dumps(document, sort_keys=True).encode())
            report.sha256 = digest.hexdigest()
        yield document
        if report.rows == spec.limit:
            return


def _documents(spec: SourceSpec, seed: int, report: SourceReport, held_out: bool) -> Iterator[dict]:
    rng = random.Random(seed)
    files = locate(spec.name)
    rows = _file_rows(spec, files, rng) if files else hub_rows(spec, report)
    if files:
        report.sha256 = digest_of(files)
    documents = selected(rows, spec, report)
    wanted = (document for document in documents if _is_held_out(document, spec.held_out) == held_out)
    yield from _reported(_shuffled(wanted, rng), spec, report)
    if not report.rows and not held_out:
        why = f" ({report.reasons()})" if report.skipped else ""
        raise UserError(
            f"The source {spec.name} has no document for training{why}: check the file and the source's options, "
            "and if it has only a few documents, set `held_out: 0`."
        )


def _file_rows(spec: SourceSpec, files: list[Path], rng: random.Random) -> Iterator[Row]:
    for file in rng.sample(files, len(files)):
        yield from read_rows(file, spec.encoding, spec.documents)


def hub_rows(spec: SourceSpec, report: SourceReport) -> Iterator[Row]:
    """The rows of a Hugging Face data set, streamed: nothing is kept on the disk."""
    import datasets
    import httpx

    try:
        stream = datasets.load_dataset(spec.name, spec.config, split=spec.split, revision=spec.revision, streaming=True)
        report.licence = spec.licence or stream.info.license or report.licence
        for number, data in enumerate(stream, 1):
            yield Row(f"{spec.name}, row {number}", data)
    except (OSError, ValueError, RuntimeError, httpx.HTTPError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        # A RuntimeError is about a data set that must run a script of its own, or cannot be streamed.
        is_odd = isinstance(error, RuntimeError)
        hint = "try `revision: refs/convert/parquet`" if is_odd else "check its name, `split` and `config`"
        raise UserError(
            f"The data set {spec.name} cannot be read from the Hugging Face hub ({reason}): {hint}, or put a copy "
            "into the folder that HOMEGROWN_DATA names."
        ) from None


def _shuffled(documents: Iterator[dict], rng: random.Random) -> Iterator[dict]:
    """`documents` in random order within a window, in bounded memory."""
    buffer: list[dict] = []
    for document in documents:
        if len(buffer) < SHUFFLE_BUFFER:
            buffer.append(document)
            continue
        place = rng.randrange(SHUFFLE_BUFFER)
        buffer[place], document = document, buffer[place]
        yield document
    rng.shuffle(buffer)
    yield from buffer
