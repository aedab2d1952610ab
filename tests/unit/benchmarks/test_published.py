"""Published figures are compared digit by digit, and those of sentence pairs come out of files in their own shapes."""

import gzip
import json
import lzma

import pytest

from benchmarks.published.__main__ import row
from benchmarks.published.figure import Published
from benchmarks.published.similarity import (
    accuracy_of_yes,
    benchmark_size,
    correlation_of_shared_words,
    f1_of_yes,
    shared_words,
)
from eval.data import Missing


def figure(published, compute):
    return Published("a set", "a figure", published, "a paper", compute)


def missing():
    raise Missing("HOMEGROWN_DATA has none")


def test_a_figure_is_the_same_in_the_digits_that_were_published():
    assert row(figure("66.5", lambda: 66.49))[3:5] == ("66.5", "yes")
    assert row(figure("66.50", lambda: 66.49))[3:5] == ("66.49", "no")
    assert row(figure("67", lambda: 66.51))[3:5] == ("67", "yes")
    assert row(figure("67", missing))[3:5] == ("-", "not here: HOMEGROWN_DATA has none")


def test_words_are_what_blanks_part():
    assert shared_words("a cat sat .", "a cat ran .") == pytest.approx(3 / 4)
    assert shared_words("Cat", "cat") == 0
    assert shared_words("a a a b", "a b") == 1


def test_figures_come_from_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    for name in ("stsb", "msrp", "sts_2012_2016"):
        (tmp_path / name).mkdir()
    (tmp_path / "stsb" / "stsb-en-dev.csv").write_text('"One, two.",Three.,5.0\nFour.,Five.,1.0\n')
    with gzip.open(tmp_path / "msrp" / "msr-para-test.tsv.gz", "wt", encoding="utf-8-sig") as file:
        file.write("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n")
        file.writelines(f'{same}\t1\t2\tHe said "no.\tShe said so.\r\n' for same in (1, 1, 0))
    pairs = [("a b", "a b", 5.0), ("a b", "a c", 2.0), ("a b", "c d", 0.0)]
    with lzma.open(tmp_path / "sts_2012_2016" / "pairs.jsonl.xz", "wt") as file:
        for first, second, rating in pairs:
            fields = {"year": 2012, "set": "OnWN", "split": "test", "score": rating}
            file.write(json.dumps(fields | {"sentence1": first, "sentence2": second}) + "\n")
        file.write(json.dumps({"year": 2012, "set": "OnWN", "split": "train", "score": 9}) + "\n")
    assert benchmark_size("dev") == 2
    assert accuracy_of_yes("test") == pytest.approx(200 / 3)
    assert f1_of_yes("test") == pytest.approx(80)
    assert correlation_of_shared_words(2012, "OnWN") == pytest.approx(0.9934, abs=1e-4)
