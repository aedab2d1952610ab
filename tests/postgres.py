"""A real PostgreSQL for the tests, and the fixtures that run a test on SQLite and on PostgreSQL."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import leash
from serving.database import migrate, new_id

NOBODY = 65534
START_S = 60


class Postgres:
    """A server in `folder` that listens on a socket there only; databases on it are made for one test each."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder

    def __enter__(self) -> "Postgres":
        data = self._folder / "data"
        initialise = [self._programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8"]
        subprocess.run(_unprivileged([*initialise, "--locale=C.UTF-8", "--no-sync"]), check=True, capture_output=True)
        options = {"unix_socket_directories": self._folder, "listen_addresses": "", "fsync": "off"}
        serve = [self._programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())]
        log = (self._folder / "log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, leash.__file__, *_unprivileged(serve)], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        deadline = time.monotonic() + START_S
        while subprocess.run([self._programs / "pg_isready", "-q", "-h", self._folder], check=False).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        stop = [self._programs / "pg_ctl", "stop", "-D", self._folder / "data", "-m", "immediate"]
        subprocess.run(_unprivileged(stop), check=False, capture_output=True)
        self._server.stdin.close()
        self._server.wait(timeout=START_S)

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{new_id()}"
        create = [self._programs / "createdb", "-h", self._folder, "-U", "tests", name]
        subprocess.run(create, check=True, capture_output=True)
        return f"postgresql+psycopg://tests@/{name}?host={self._folder}"


def _unprivileged(command: list[str | Path]) -> list[str | Path]:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return command
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def _programs() -> Path | None:
    """The newest installed server's programs; Debian keeps them off the PATH."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    found = shutil.which("postgres", path=os.pathsep.join([*map(str, newest_first), os.environ["PATH"]]))
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the session's own."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    # Not below pytest's folder: that is closed to other users, and a socket's path may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        if not os.getuid():
            os.chown(folder, NOBODY, NOBODY)
        with Postgres(programs, Path(folder)) as server:
            yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'homegrown.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def migrated_database(empty_database: str) -> str:
    """The URL of a database with the newest tables, of each kind in turn."""
    migrate(empty_database)
    return empty_database
