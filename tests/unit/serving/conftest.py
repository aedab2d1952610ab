"""Servers for the tests that ask for one: a running image API, and one whose guard is looked at."""

import contextlib
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving.api.app import build_api, guarded
from serving.database import migrate
from serving.server import HttpServer
from serving.settings import read_settings
from tests.unit.serving.guarded_house import House
from tests.unit.serving.picture_api import PictureApi, engine
from tests.unit.serving.picture_worker import PictureWorker


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., PictureApi]]:
    """Starts an API with the settings that are given; `draws` False leaves the image engine out."""
    with contextlib.ExitStack() as stack:

        def start(draws: bool = True, **settings: object) -> PictureApi:
            monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
            worker = stack.enter_context(PictureWorker())
            images = engine(worker.base_url, "images")
            settings = read_settings(**settings)
            app = build_api(settings, engine(worker.base_url, "words"), images if draws else None)
            claimed = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            server = stack.enter_context(HttpServer(guarded(app, settings), claimed))
            http = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
            return PictureApi(server.url, worker, images, tmp_path, http)

        yield start


@pytest.fixture
def served(start: Callable[..., PictureApi]) -> PictureApi:
    """An API that draws, with the settings as they are by default."""
    return start()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the newest tables and nothing in them; copy it."""
    file = tmp_path_factory.mktemp("empty") / "homegrown.db"
    migrate(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_file: Path) -> Callable[..., House]:
    """Makes a guarded server with the settings that are given, in a home of the test's own."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    shutil.copy(empty_file, tmp_path / "homegrown.db")
    return lambda **settings: House(read_settings(**settings))
