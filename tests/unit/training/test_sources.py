"""Sources: what is read out of files of every kind, what is left out and why, and when it is too much."""

import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from serving.errors import UserError
from training.corpus.readers import read_rows
from training.corpus.sources import SourceReport, SourceSpec, hub_rows, open_source

STORIES = [{"text": f"Story number {number} is about a fox."} for number in range(400)]
TEXTS = {story["text"] for story in STORIES}
PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with HOMEGROWN_DATA unset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    return tmp_path


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(
    name: str, kind: str = "text", *, seed: int = 0, held_out: bool = False, **options
) -> tuple[list, SourceReport]:
    report = SourceReport(name=name)
    spec = SourceSpec(name=name, kind=kind, **{"held_out": 0, **options})
    return list(open_source(spec, seed=seed, report=report, held_out=held_out)), report


def texts(name: str, **options) -> list[str]:
    return [document["text"] for document in read(name, **options)[0]]


def failure(name: str, kind: str = "text", **options) -> str:
    with pytest.raises(UserError) as caught:
        read(name, kind, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# Formats


@pytest.mark.parametrize("packing", PACKERS)
def test_lines_of_json_in_every_compression(folder: Path, packing: str) -> None:
    (folder / f"a.jsonl{packing}").write_bytes(PACKERS[packing](jsonl(STORIES)))
    assert set(texts(f"a.jsonl{packing}")) == TEXTS


@pytest.mark.parametrize("packing", PACKERS)
def test_parquet_in_every_compression(folder: Path, packing: str) -> None:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(STORIES), buffer)
    (folder / f"a.parquet{packing}").write_bytes(PACKERS[packing](buffer.getvalue()))
    assert set(texts(f"a.parquet{packing}")) == TEXTS


def test_json_list_object_and_data_key(folder: Path) -> None:
    (folder / "list.json").write_text(json.dumps(STORIES, indent=1))
    (folder / "data.json").write_text(json.dumps({"version": 1, "data": STORIES}))
    (folder / "lines.json").write_bytes(jsonl(STORIES))
    (folder / "one.json").write_text(json.dumps(STORIES[0], indent=1))
    for name in ("list.json", "data.json", "lines.json"):
        assert set(texts(name)) == TEXTS
    assert texts("one.json") == [STORIES[0]["text"]]


def test_line_separators_of_unicode_end_no_line_of_json(folder: Path) -> None:
    stories = [{"text": f"One\u2028two\u2029three\u0085{number}."} for number in range(3)]
    lines = "".join(json.dumps(story, ensure_ascii=False) + "\n" for story in stories)
    for name in ("a.json", "a.jsonl"):
        (folder / name).write_text(lines, encoding="utf-8")
        assert [row.data for row in read_rows(folder / name)] == stories


def test_tables(folder: Path) -> None:
    (folder / "a.csv").write_text('title,story\nFox,"Red, quick\nand sly"\n')
    (folder / "b.tsv").write_text("title\tstory\nHen\tSmall\n")
    fields = {"text": "{title}: {story}"}
    assert texts("a.csv", fields=fields) == ["Fox: Red, quick\nand sly"]
    assert texts("b.tsv", fields=fields) == ["Hen: Small"]


def test_archives_of_texts_pass_over_what_is_no_text(folder: Path) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("b/one.txt", "One.")
        archive.writestr("two.jsonl.gz", gzip.compress(jsonl([{"text": "Two."}])))
        archive.writestr("picture.png", b"\x89PNG\0")
    for name, mode in (("a.tar", "w"), ("a.tar.xz", "w:xz"), ("a.tgz", "w:gz")):
        with tarfile.open(name, mode) as archive:
            for member, data in (("b/one.txt", b"One."), ("two.jsonl", jsonl([{"text": "Two."}])), ("x.png", b"\0")):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    for name in ("a.zip", "a.tar", "a.tar.xz", "a.tgz"):
        assert sorted(texts(name)) == ["One.", "Two."], name


def test_small_text_file_is_one_document_and_a_long_one_is_cut_at_blank_lines(folder: Path) -> None:
    (folder / "small.txt").write_text("First.\n\nSecond.\n")
    paragraphs = [f"Paragraph {number} " + "word " * 60 for number in range(200)]
    (folder / "long.txt").write_text("\n\n".join(paragraphs))
    assert texts("small.txt") == ["First.\n\nSecond."]
    pieces = texts("long.txt")
    assert len(pieces) > 5
    assert sorted(p.strip() for piece in pieces for p in piece.split("\n\n")) == sorted(p.strip() for p in paragraphs)


def test_text_file_cut_as_told(folder: Path) -> None:
    (folder / "a.txt").write_text("a\nb\n\nc\n<|endoftext|>\nd\n")
    assert sorted(texts("a.txt")) == ["a\nb\n\nc", "d"]
    assert sorted(texts("a.txt", documents="blank_line")) == ["a\nb", "c", "d"]
    assert sorted(texts("a.txt", documents="line")) == ["a", "b", "c", "d"]


# Places


def test_folder_glob_and_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder / "copies" / "set" / "deep"
    data.mkdir(parents=True)
    (data / "a.jsonl").write_bytes(jsonl(STORIES[:200]))
    (data.parent / "b.jsonl").write_bytes(jsonl(STORIES[200:]))
    (data / ".hidden.jsonl").write_text("{")
    (data / "LICENSE").write_text("free")
    assert set(texts("copies/set")) == TEXTS
    assert set(texts("copies/**/*.jsonl")) == TEXTS
    assert set(texts(str(data / "a.jsonl"))) == {row["text"] for row in STORIES[:200]}
    monkeypatch.setenv("HOMEGROWN_DATA", str(folder / "copies"))
    assert set(texts("set")) == TEXTS
    assert set(texts("set/b.*")) == {row["text"] for row in STORIES[200:]}


def test_missing_file_says_where_it_was_looked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = failure("stories/none.jsonl")
    assert "stories/none.jsonl" in message
    assert str(folder) in message
    assert "HOMEGROWN_DATA is not set" in message
    monkeypatch.setenv("HOMEGROWN_DATA", str(folder / "nowhere"))
    assert "nowhere, which is no folder" in failure("stories/none.jsonl")


def test_misspelt_file_of_a_local_folder_is_not_looked_for_on_the_hub(folder: Path) -> None:
    (folder / "stories").mkdir()
    assert "is not there" in failure("stories/trian")


def test_unknown_type_and_empty_folder(folder: Path) -> None:
    (folder / "a.docx").write_bytes(b"PK")
    (folder / "none").mkdir()
    assert ".docx" in failure("a.docx")
    assert "holds no data file" in failure("none")


def test_copies_belong_to_the_trainer() -> None:
    with pytest.raises(ValueError, match="trainer"):
        read("copies")


def test_dataset_library_reads_a_local_copy(folder: Path) -> None:
    (folder / "org").mkdir()
    (folder / "org" / "train.jsonl").write_bytes(jsonl(STORIES[:7]))
    report = SourceReport(name="org")
    rows = list(hub_rows(SourceSpec(name=str(folder / "org"), kind="text"), report))
    assert [row.data for row in rows] == STORIES[:7]
    assert rows[2].place.endswith("row 3")


def test_dataset_library_failure_is_one_sentence(folder: Path) -> None:
    (folder / "org").mkdir()
    (folder / "org" / "train.jsonl").write_bytes(jsonl(STORIES[:7]))
    with pytest.raises(UserError, match="`split`"):
        list(hub_rows(SourceSpec(name=str(folder / "org"), kind="text", split="dev"), SourceReport(name="org")))


def test_data_set_that_is_a_script_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__) -> None:
        raise RuntimeError("Dataset scripts are no longer supported, but found stories.py")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(UserError, match=r"owner/stories .*found stories\.py\): try `revision: refs/convert/parquet`"):
        list(hub_rows(SourceSpec(name="owner/stories", kind="text"), SourceReport(name="stories")))


# Order, shares and limits


def test_order_depends_on_the_seed_alone(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl(STORIES))
    assert texts("a.jsonl", seed=1) == texts("a.jsonl", seed=1) != texts("a.jsonl", seed=2)


def test_held_out_share_is_never_trained_on(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl(STORIES))
    spec = {"name": "a.jsonl", "kind": "text", "held_out": 0.1}
    streams = [
        {
            document["text"]
            for document in open_source(SourceSpec(**spec), seed=seed, report=SourceReport(name="a"), held_out=out)
        }
        for seed, out in ((1, False), (2, False), (1, True), (2, True))
    ]
    assert streams[0] == streams[1]
    assert streams[2] == streams[3]
    assert streams[0] | streams[2] == TEXTS
    assert not streams[0] & streams[2]
    assert 15 <= len(streams[2]) <= 70


def test_limit_length_and_duplicates(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl(STORIES))
    assert len(texts("a.jsonl", limit=5)) == 5
    (folder / "b.jsonl").write_bytes(
        jsonl([{"text": "Hi"}, {"text": "A fox."}, {"text": "a  FOX."}, {"text": "x" * 50}])
    )
    documents, report = read("b.jsonl", min_characters=3, max_characters=20)
    assert [document["text"] for document in documents] == ["A fox."]
    assert report.skipped == {"too short or too long": 2, "duplicate": 1}
    assert report.unusable() == ""
    assert len(texts("b.jsonl", duplicates="keep")) == 4


def test_report_names_hash_licence_and_rows(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl(STORIES))
    _, report = read("a.jsonl", licence="CC0-1.0")
    assert (report.licence, report.rows) == ("CC0-1.0", 400)
    assert report.sha256 == hashlib.sha256((folder / "a.jsonl").read_bytes()).hexdigest()
    assert report.summary() == "a.jsonl: 400 documents"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"common": ">= 0.8"}, {"b", "c"}),
        ({"common": "< 0.8"}, {"a"}),
        ({"split": "train"}, {"a", "b"}),
        ({"split": ["test", "dev"]}, {"c"}),
        ({"split": "!= train", "common": "> 0"}, {"c"}),
        ({"text": "~ ^[ab]$"}, {"a", "b"}),
    ],
)
def test_where(folder: Path, where: dict, kept: set) -> None:
    rows = [("a", 0.5, "train"), ("b", 0.8, "train"), ("c", 1, "test")]
    (folder / "a.jsonl").write_bytes(jsonl([{"text": t, "common": c, "split": s} for t, c, s in rows]))
    assert set(texts("a.jsonl", where=where)) == kept


def test_where_with_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        SourceSpec(name="a.jsonl", kind="text", where={"text": "~ ["})


def test_where_on_a_field_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl(STORIES))
    assert "no field 'common'" in failure("a.jsonl", where={"common": ">= 0.8"})


# Broken input


def test_few_broken_lines_are_counted_named_and_skipped(folder: Path) -> None:
    lines = jsonl(STORIES).splitlines()
    lines[3] = b'{"text": "cut'
    lines[7] = b"caf\xe9 latte"
    lines[9] = b'"a string"'
    lines[11] = b'{"text": "   "}'
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    documents, report = read("a.jsonl")
    assert len(documents) == report.rows == 396
    assert report.skipped == {"broken JSON": 1, "not UTF-8": 1, "no JSON object": 1, "empty": 1}
    assert report.first["broken JSON"].endswith("a.jsonl, line 4")
    assert "1 broken JSON, first in" in report.summary()
    assert "1 empty, first in" in report.unusable()


def test_too_many_broken_lines_are_one_error(folder: Path) -> None:
    lines = jsonl(STORIES).splitlines()
    lines[20:40] = [b"{"] * 20
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    message = failure("a.jsonl")
    assert "a.jsonl, line 26: broken JSON" in message
    assert "`broken`" in message
    assert len(texts("a.jsonl", broken=0.5)) == 380


def test_wrong_encoding_is_named_and_can_be_set(folder: Path) -> None:
    words = "\n".join(f"Ein schöner Tag Nummer {number}, größer als sonst." for number in range(9))
    (folder / "a.txt").write_bytes(words.encode("cp1252"))
    (folder / "b.txt").write_bytes(words.encode("utf-16"))
    (folder / "c.txt").write_bytes(words.encode("utf-8-sig"))
    message = failure("a.txt", documents="line")
    assert "a.txt, line 6: not UTF-8" in message
    assert "`encoding: cp1252`" in message
    assert texts("a.txt", encoding="cp1252") == texts("b.txt", encoding="utf-16") == texts("c.txt") == [words]
    assert "not UTF-8" in failure("b.txt")
    with pytest.raises(ValueError, match="no encoding"):
        SourceSpec(name="a.txt", kind="text", encoding="cp12520")


def test_empty_and_binary_files(folder: Path) -> None:
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "picture.txt").write_bytes(bytes(range(256)) * 40)
    (folder / "blank.txt").write_text("\n \n")
    (folder / "good.txt").write_text("Good.")
    assert "empty file" in failure("empty.jsonl")
    assert "binary file" in failure("picture.txt")
    assert "no document" in failure("blank.txt")
    documents, report = read("*.*")
    assert [document["text"] for document in documents] == ["Good."]
    assert report.skipped == {"empty file": 1, "binary file": 1}


@pytest.mark.parametrize("packing", [".gz", ".xz", ".zst"])
def test_truncated_compression(folder: Path, packing: str) -> None:
    whole = PACKERS[packing](jsonl([{"text": hashlib.sha256(bytes([n])).hexdigest() * 40} for n in range(200)]))
    (folder / f"a.jsonl{packing}").write_bytes(whole[: len(whole) // 2])
    (folder / f"b.jsonl{packing}").write_bytes(b"not compressed at all")
    assert f"a.jsonl{packing} is truncated or damaged" in failure(f"a.jsonl{packing}")
    assert f"b.jsonl{packing} is truncated or damaged" in failure(f"b.jsonl{packing}")


def test_truncated_parquet_zip_and_tar(folder: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(STORIES), "a.parquet")
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("a.jsonl", jsonl(STORIES))
    with tarfile.open("a.tar.xz", "w:xz") as archive:
        archive.add("a.zip", "a.jsonl")
    for name in ("a.parquet", "a.zip", "a.tar.xz"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        assert f"{name} is truncated or damaged" in failure(name)


def test_encrypted_zip_is_one_sentence(folder: Path) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("a.jsonl", jsonl(STORIES))
    packed = bytearray((folder / "a.zip").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # Python reads that flag, and cannot set it
        packed[packed.index(mark) + flags] |= 1
    (folder / "a.zip").write_bytes(packed)
    assert "a.zip cannot be unpacked here (File 'a.jsonl' is encrypted" in failure("a.zip")


def test_several_zstandard_frames_are_one_file(folder: Path) -> None:
    half = PACKERS[".zst"](jsonl(STORIES[:200])) + PACKERS[".zst"](jsonl(STORIES[200:]))
    (folder / "a.jsonl.zst").write_bytes(half)
    assert set(texts("a.jsonl.zst")) == TEXTS


def test_rows_of_an_unknown_shape_name_their_fields(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl([{"story": f"A {n}", "id": n} for n in range(30)]))
    message = failure("a.jsonl")
    assert "no field 'text'" in message
    assert "story, id" in message
    assert "`fields`" in message
    assert len(texts("a.jsonl", fields={"text": "story"})) == 30


# Rows that need more than their own fields


def exchange(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_questions_get_their_passage(folder: Path) -> None:
    (folder / "stories.jsonl").write_bytes(jsonl([{"name": "fox", "sections": ["One.", "Two.", "Three."]}]))
    questions = [
        {"story": "fox", "sections": "2,3", "question": "Which?", "answers": ["the fox"]},
        {"story": "hen", "sections": "1", "question": "Who?", "answers": ["a hen"]},
    ]
    (folder / "questions.jsonl").write_bytes(jsonl(questions))
    documents, report = read("questions.jsonl", "chat", passages="stories.jsonl")
    assert documents == [{"messages": exchange("Two.\n\nThree.\n\nWhich?", "The fox.")}]
    assert report.skipped == {"no passage": 1}


def test_replacements_reach_every_string(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(jsonl([{"turns": ["Who are you?", "I am {{name}}."]}]))
    documents, _ = read("a.jsonl", "chat", replace={"{{name}}": "Homegrown"})
    assert documents == [{"messages": exchange("Who are you?", "I am Homegrown.")}]
