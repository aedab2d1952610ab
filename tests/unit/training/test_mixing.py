import json
from collections import Counter
from itertools import chain, islice, repeat
from pathlib import Path

import pytest

from training.corpus.sources import SourceReport, SourceSpec
from training.mixing import documents_of, mixed


def test_each_source_keeps_its_share_of_the_sizes() -> None:
    stream = mixed([(3.0, repeat("aa")), (1.0, repeat("bbbbbb")), (0.0, repeat("c"))], len)
    sizes = Counter("".join(islice(stream, 4000)))
    assert sizes["a"] / sizes["b"] == pytest.approx(3, rel=0.01)
    assert "c" not in sizes


def test_a_source_that_ends_leaves_the_others() -> None:
    assert sorted(mixed([(1.0, iter("ab")), (1.0, iter("xyz"))], len)) == list("abxyz")


@pytest.fixture
def spec(tmp_path: Path) -> SourceSpec:
    path = tmp_path / "ten.jsonl"
    path.write_text("".join(json.dumps({"text": f"document {number}"}) + "\n" for number in range(10)))
    return SourceSpec(name=str(path), kind="text", held_out=0)


def texts(spec: SourceSpec, number: int, **options) -> list[str]:
    stream = documents_of(spec, 0, SourceReport(name=spec.name), **options)
    return [document["text"] for document in islice(stream, number)]


def test_a_finite_source_starts_again_in_another_order(spec: SourceSpec) -> None:
    drawn = texts(spec, 20)
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == sorted(f"document {number}" for number in range(10))
    assert drawn[:10] != drawn[10:]


def test_once_is_once(spec: SourceSpec) -> None:
    assert len(texts(spec, 100, once=True)) == 10


def test_readers_share_the_documents(spec: SourceSpec) -> None:
    parts = [texts(spec, 100, once=True, part=(reader, 3)) for reader in range(3)]
    assert sorted(chain(*parts)) == sorted(f"document {number}" for number in range(10))


def test_more_readers_than_documents(spec: SourceSpec) -> None:
    assert len(texts(spec, 15, part=(11, 12))) == 15
