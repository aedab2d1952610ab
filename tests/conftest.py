"""What every test may use: a home of its own, tiny real models, and one real server that the whole session shares."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.postgres import empty_database, migrated_database, postgres  # noqa: F401 - fixtures
from tests.processes import end_with_stacks, logs_in
from tests.tiny_model import write_taught_model, write_tiny_model

if TYPE_CHECKING:
    from openai import OpenAI

    from serving.text_engine import TextEngine


ROOT = Path(__file__).parents[1]

# A shell's background job starts with SIGINT ignored, and so would every process that a test starts to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Workers of pytest-xdist: threads that wait for each other on the same cores would make two slower than one."""
    if hasattr(config, "workerinput"):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """HOMEGROWN_HOME of the session, so that no test touches a real one."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(home))
        yield home


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model folder; read only, copy it to change it."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="session")
def taught_model(session_home: Path) -> Path:
    """A model of ours under home()/models that knows the lessons of tests/tiny_model.py by heart; read only."""
    return write_taught_model(session_home / "models" / "taught")


@dataclass(frozen=True)
class Api:
    """A running Homegrown API: `url` has no /v1."""

    url: str
    engine: "TextEngine"

    def client(self, **options: object) -> "OpenAI":
        """The official client, without retries and with strict validation of what it receives."""
        from openai import OpenAI

        settings = {"base_url": f"{self.url}/v1", "api_key": "none", "max_retries": 0, "timeout": 120}
        return OpenAI(**(settings | {"_strict_response_validation": True} | options))


@pytest.fixture(scope="session")
def api(taught_model: Path) -> Iterator[Api]:
    """The taught model behind our API with the assistant, and a real vLLM, started once for the session."""
    from assistant.service import extension
    from serving.engine import free_port
    from serving.serve import serving
    from serving.settings import read_settings

    settings = read_settings(port=free_port(), dtype="float32", max_body_bytes=2**20)
    with serving(settings, str(taught_model), [extension]) as (url, engine):
        engine.wait_ready()
        yield Api(url, engine)


@pytest.fixture(scope="session")
def grown_tiny(session_home: Path) -> Path:
    """The recipe `tiny`, grown from nothing by the command line as a user would; read only.

    It takes a minute. If it hangs, the output says where, and the same command must go on from there, as it promises.
    """
    command = [sys.executable, str(ROOT / "homegrown.py"), "train", "run", "tiny"]
    log = session_home / "tiny.log"
    for _ in range(2):
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                process.wait(timeout=240)
            except subprocess.TimeoutExpired:
                end_with_stacks(process)
                warnings.warn(f"train run tiny hung\n{logs_in(session_home)}", stacklevel=1)
                continue
        assert process.returncode == 0, logs_in(session_home)
        return session_home / "models" / "tiny"
    pytest.fail("train run tiny hung twice: see the warnings")
