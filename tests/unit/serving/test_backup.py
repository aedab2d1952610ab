"""Backup and restore: everything comes back, into either database, or nothing changes, whatever the file holds."""

import asyncio
import errno
import gzip
import hashlib
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from typer import Typer
from typer.testing import CliRunner

from assistant.conversations import Conversations
from assistant.feedback import FeedbackStore
from assistant.tables import Document, Passage
from serving import backup_commands
from serving.archive import ArchiveError
from serving.backup import backup, missing_models
from serving.database import Database, DatabaseError, database_url, locked_connection, migrate, new_id, utcnow
from serving.restore import restore
from serving.table_rows import RowsError
from serving.tables import Key, Usage
from tests.unit.serving.hostile_backups import HOSTILE, crafted, write_tar

PICTURE = f"{hashlib.sha256(b'picture').hexdigest()}.png"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def lived_in(home: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a database of each kind in turn, in which people have left something."""
    monkeypatch.setenv("HOMEGROWN_DATABASE_URL", empty_database)
    live_in(home)
    return home


def live_in(home: Path) -> None:
    for name, content in {
        f"images/{PICTURE}": b"picture",
        "images/secret": b"s" * 32,
        "images/unfinished-abc": b"half",
        "documents/d0": b"document",
        "loras/boat.safetensors": b"weights",
        "models/tiny/config.json": b"{}",
        "models/tiny/encoder/model.safetensors": b"more weights",
        f"models/tiny/{'long-' * 30}.json": b"{}",
        "models/.unfinished/config.json": b"{}",
        "runs/log": b"not saved",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    (home / "documents" / "link").symlink_to("/etc/passwd")
    migrate(url := database_url())
    asyncio.run(talk(Database(url)))


async def talk(database: Database) -> None:
    conversations = Conversations(database)
    chat = await conversations.create("local", title="Ärger \U0001f600", model="m", settings={"top_p": 0.5})
    question = await conversations.add_message("local", chat.id, None, "user", "line\nbreak")
    answer = await conversations.add_message(
        "local", chat.id, question.id, "assistant", "4", steps=[{"said": "\0\ud83d"}], finished_at=utcnow()
    )
    await FeedbackStore(database).give("local", answer.id, -1, "5", consent=True)
    async with database.session() as session:
        session.add(
            Key(user_id="owner", name="k", prefix="hg", sha256=new_id() * 2, scopes=["chat"], expires_at=utcnow())
        )
        session.add(Usage(key_id="local", day=utcnow().date(), model=new_id(), requests=2**30, prompt_tokens=2**40))
        about = {"name": "n", "media_type": "text/plain", "sha256": "d0", "bytes": 8, "state": "done"}
        session.add(document := Document(user_id="local", **about))
        await session.flush()
        for place in ("1", "2"):
            session.add(Passage(document_id=document.id, position=0, place=place, text="planets", embedding=b"\0\xff"))
    await database.close()


def rows(url: str | None = None) -> dict[str, list]:
    """Everything in the database, as it is read through no table definition of ours."""
    names = ("users", "keys", "usage", "conversations", "messages", "feedback", "documents", "passages")
    with locked_connection(url or database_url()) as connection:
        return {
            name: sorted(map(str, connection.execute(text(f"SELECT * FROM {name}")).mappings().all())) for name in names
        }


def files(folder: Path) -> dict[str, bytes]:
    """What lies in the parts of a home that are saved, without the database."""
    parts = ("documents", "images", "loras", "models")
    found = (path for part in parts for path in sorted((folder / part).rglob("*")))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


def everything(home: Path) -> tuple:
    return rows(), files(home), sorted(path.name for path in home.iterdir() if not path.name.startswith("homegrown.db"))


def test_everything_that_people_made_comes_back(lived_in: Path, tmp_path: Path) -> None:
    before = everything(lived_in)
    file = tmp_path / "saved" / "backup.tar.gz"
    manifest = backup(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == [file.name]
    assert everything(lived_in) == before
    (lived_in / "images" / PICTURE).unlink()
    (lived_in / "documents" / "new").touch()
    asyncio.run(talk(Database(database_url())))
    assert rows() != before[0]
    assert restore(file, force=True) == manifest
    after = everything(lived_in)
    assert after[0] == before[0]
    left_out = {"images/secret", "images/unfinished-abc", "documents/link"}
    assert after[1] == {name: content for name, content in before[1].items() if name not in left_out}
    assert after[2] == before[2]
    asyncio.run(talk(Database(database_url())))  # and life goes on: numbers and full text as well
    with locked_connection(database_url()) as connection:
        assert connection.execute(text("SELECT count(DISTINCT number) FROM passages")).scalar() == 4


def test_models_are_saved_on_demand_and_known_by_their_hash(lived_in: Path, tmp_path: Path) -> None:
    tiny = lived_in / "models" / "tiny"
    without, whole = backup(tmp_path / "without"), backup(tmp_path / "whole", models=True)
    assert without.models.keys() == {"tiny"}
    assert missing_models(without) == {}
    (tiny / "config.json").write_text('{"changed": true}')
    restore(tmp_path / "without", force=True)
    assert missing_models(without) == {"tiny": "is another one than in the backup"}
    (lived_in / "models" / "other").mkdir()
    before = {path.relative_to(tiny): path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    restore(tmp_path / "whole", force=True)
    assert missing_models(whole) == {}
    after = {path.relative_to(tiny): path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    assert after == before | {Path("config.json"): b"{}"}
    assert (lived_in / "models" / "other").is_dir()


def test_it_moves_from_one_kind_of_database_to_the_other(
    lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    there = database_url()
    backup(tmp_path / "file")
    here = f"sqlite+aiosqlite:///{tmp_path}/other.db"
    if there.startswith("sqlite"):
        here = request.getfixturevalue("postgres").new_database()
    monkeypatch.setenv("HOMEGROWN_DATABASE_URL", here)
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "other"))
    restore(tmp_path / "file")

    async def read(url: str) -> list:
        database = Database(url)
        conversations = Conversations(database)
        (chat,) = await conversations.list("local", "ärger")
        view = await conversations.get("local", chat.id)
        await database.close()
        things = [view.conversation, *view.messages, *view.feedback.values()]
        return [{c.name: getattr(one, c.name) for c in one.__table__.columns} for one in things]

    assert asyncio.run(read(here)) == asyncio.run(read(there))
    asyncio.run(talk(Database(here)))


def test_nothing_is_overwritten_unless_forced(lived_in: Path, tmp_path: Path) -> None:
    backup(tmp_path / "file")
    with pytest.raises(ArchiveError, match=r"exists.*--force"):
        backup(tmp_path / "file")
    backup(tmp_path / "file", force=True)
    before = everything(lived_in)
    with pytest.raises(ArchiveError, match=r"documents is not empty.*--force"):
        restore(tmp_path / "file")
    for name in ("documents", "images", "loras"):
        (lived_in / name).rename(tmp_path / name)
    with pytest.raises(ArchiveError, match=r"The database .* is not empty.*--force"):
        restore(tmp_path / "file")
    for name in ("documents", "images", "loras"):
        (tmp_path / name).rename(lived_in / name)
    assert everything(lived_in) == before


def failing_at(number: int) -> Callable[[Path, Path], None]:
    """`os.rename` with a disk that is full once, after so many calls."""
    rename, outcomes = os.rename, iter([*[True] * number, False])

    def renaming(source: Path, target: Path) -> None:
        if not next(outcomes, True):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    return renaming


def test_an_error_in_the_middle_brings_everything_back(
    lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(tmp_path / "file", models=True)
    (lived_in / "loras" / "boat.safetensors").unlink()
    (lived_in / "documents" / "new").write_bytes(b"since then")
    asyncio.run(talk(Database(database_url())))
    before = everything(lived_in)
    for number in range(7):
        with monkeypatch.context() as patch:
            patch.setattr("os.rename", failing_at(number))
            with pytest.raises(ArchiveError, match="no space left"):
                restore(tmp_path / "file", force=True)
        assert everything(lived_in) == before
    restore(tmp_path / "file", force=True)
    assert not (lived_in / "documents" / "new").exists()


def test_a_database_in_use_is_left_alone(home: Path, tmp_path: Path) -> None:
    live_in(home)
    backup(tmp_path / "file")
    before = everything(home)
    with sqlite3.connect(home / "homegrown.db") as server:
        server.execute("SELECT * FROM users").fetchall()
        with pytest.raises(ArchiveError, match="in use: stop the server"):
            restore(tmp_path / "file", force=True)
    server.close()
    assert everything(home) == before


def test_a_broken_database_is_replaced(home: Path, tmp_path: Path) -> None:
    live_in(home)
    before = rows()
    backup(tmp_path / "file")
    (home / "homegrown.db").write_bytes(b"not a database, " * 1000)
    restore(tmp_path / "file", force=True)
    assert rows() == before


def test_tables_of_another_program_are_not_dropped(
    home: Path, tmp_path: Path, postgres: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_in(home)
    backup(tmp_path / "file")
    monkeypatch.setenv("HOMEGROWN_DATABASE_URL", url := postgres.new_database())
    with locked_connection(url) as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER PRIMARY KEY)"))
    with pytest.raises(ArchiveError, match="belongs to another program"):
        restore(tmp_path / "file", force=True)
    with locked_connection(url) as connection:
        assert connection.execute(text("SELECT count(*) FROM theirs")).scalar() == 0


def test_a_stale_folder_of_a_killed_restore_goes(home: Path, tmp_path: Path) -> None:
    live_in(home)
    backup(tmp_path / "file")
    (home / ".restoring-abc" / "new").mkdir(parents=True)
    restore(tmp_path / "file", force=True)
    assert not (home / ".restoring-abc").exists()


def test_what_is_made_like_them_but_honest_is_restored(home: Path, tmp_path: Path) -> None:
    user = b'{"id":"u","name":"n","created_at":"2026-01-01T00:00:00+00:00"}\n'
    honest = crafted({"database/users.jsonl": user, "documents/a/b": b"x"}, schema_revision="0001")
    write_tar(tmp_path / "honest.tar.gz", honest)
    restore(tmp_path / "honest.tar.gz")
    assert (home / "documents" / "a" / "b").read_bytes() == b"x"
    assert len(rows()["users"]) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_changes_nothing(home: Path, tmp_path: Path, name: str) -> None:
    migrate(database_url())
    (home / "documents").mkdir()
    (home / "documents" / "mine").write_bytes(b"mine")
    before = everything(home)
    write_tar(tmp_path / "evil.tar.gz", HOSTILE[name]())
    around = sorted(tmp_path.rglob("*"))
    with pytest.raises((ArchiveError, DatabaseError, RowsError)) as caught:
        restore(tmp_path / "evil.tar.gz", force=True)
    assert "\n" not in str(caught.value)
    assert everything(home) == before
    assert [path for path in sorted(tmp_path.rglob("*")) if "homegrown.db-" not in path.name] == around


def test_hostile_rows_leave_a_server_as_it_is(lived_in: Path, tmp_path: Path) -> None:
    before = everything(lived_in)
    for name in ("row of nobody", "row twice", "row of another type", "unknown column"):
        write_tar(tmp_path / "evil.tar.gz", HOSTILE[name]())
        with pytest.raises(RowsError):
            restore(tmp_path / "evil.tar.gz", force=True)
        assert everything(lived_in) == before


def test_what_is_no_backup_or_a_part_of_one_is_one_sentence(home: Path, tmp_path: Path) -> None:
    live_in(home)
    backup(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    before = everything(home)
    broken = [whole[:size] for size in (0, 5, 100, len(whole) // 2, len(whole) - 20)]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    endless = tarfile.TarInfo("manifest.json")
    endless.size = 2**40
    broken.append(gzip.compress(endless.tobuf(tarfile.GNU_FORMAT)))
    for content in (*broken, bytes(flipped), b"text", gzip.compress(b""), gzip.compress(b"\0" * 10_000)):
        (tmp_path / "part").write_bytes(content)
        with pytest.raises(ArchiveError, match=r"no backup|damaged"):
            restore(tmp_path / "part", force=True)
    with pytest.raises(ArchiveError, match="There is no backup"):
        restore(tmp_path / "nowhere")
    assert everything(home) == before


def test_a_home_that_is_not_there_is_not_saved(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="nothing to save"):
        backup(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_the_commands_say_what_they_did(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Typer()
    app.command()(backup_commands.backup)
    app.command()(backup_commands.restore)
    live_in(home)
    file = tmp_path / "backup.tar.gz"
    saved = CliRunner().invoke(app, ["backup", str(file)], catch_exceptions=False).output
    assert saved.startswith(f"{file}: 11 rows, 3 files, ")
    assert "Of models only the hashes (tiny)" in saved
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "new"))
    restored = CliRunner().invoke(app, ["restore", str(file)], catch_exceptions=False).output
    assert restored.startswith("Restored 11 rows and 3 files of 20")
    assert "The model tiny is not here: grow it again, or copy its folder." in restored
    assert rows(f"sqlite+aiosqlite:///{home}/homegrown.db") == rows()
