import json
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from homegrown import app
from serving import checkup
from serving.checkup import Finding, deviations
from serving.database import database_url, migrate
from serving.engine import free_port
from serving.fitting import GIB, what_fits
from serving.model_folder import Lineage, finish_model_folder, folder_digest
from tests.unit.serving.traffic_api import build_app, serve_traffic


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that belongs to one test, and a port that nobody has."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.setenv("HOMEGROWN_PORT", str(free_port()))
    return tmp_path


def found(check: Callable[[], Iterator[Finding]], what: str) -> Finding:
    (finding,) = [finding for finding in check() if finding.what == what]
    return finding


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_what_programs_read(own_home: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, own_home / "models" / "tiny")
    result = run("--json")
    told = json.loads(result.stdout)
    findings = {finding["what"]: finding for finding in told["findings"]}
    assert {"Python", "packages", "vLLM", "processor", "memory", "GPU", "home", "disk", "settings", "address"} < set(
        findings
    )
    assert findings["vLLM"]["said"].endswith(f"torch {metadata.version('torch')}")
    assert folder_digest(own_home / "models" / "tiny")[:12] in findings["model tiny"]["said"]
    assert result.exit_code == any(finding["state"] == "bad" for finding in told["findings"])
    assert {fit["size"] for fit in told["fits"]} >= {"0.6B", "70B"}


def test_what_people_read(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_PORT", "many")
    result = run()
    assert result.exit_code == 1
    (place,) = [place for place, line in enumerate(result.stdout.splitlines()) if line.startswith(" ✗ settings")]
    assert "HOMEGROWN_PORT" in result.stdout.splitlines()[place]
    assert "→" in "".join(line for line in result.stdout.splitlines() if "train run almanac" in line)
    assert "\033" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 200


def test_packages_that_are_not_as_the_lock_says() -> None:
    version = metadata.version("typer")
    lock = f"""# A comment with no==package
typer=={version} \\
    --hash=sha256:00
numpy==0.0.1 \\
    --hash=sha256:00
no-such-package==1.0 ; python_version >= '3.0' \\
    --hash=sha256:00
only-on-windows==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
"""
    numpy = metadata.version("numpy")
    assert list(deviations(lock)) == [f"numpy is {numpy}, not 0.0.1", "no-such-package is missing"]


def test_the_lock_of_this_project_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = (checkup.REQUIREMENTS / "cpu.lock").read_text()
    assert lock.count("==") > 100
    (tmp_path / "cpu.lock").write_text(lock + "\nno-such-package==1.0 \\\n")
    monkeypatch.setattr(checkup, "REQUIREMENTS", tmp_path)
    finding = found(checkup.packages, "packages")
    assert (finding.state, finding.mend) == ("bad", "`make install`")
    assert "no-such-package is missing" in finding.said


def test_a_python_that_the_packages_are_not_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(checkup.python, "Python").state == "good"
    monkeypatch.setattr(checkup, "NEWEST", (3, 10))
    assert found(checkup.python, "Python").state == "bad"


def test_a_home_that_cannot_be_written(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(checkup.storage, "home").state == "good"
    assert not [file for file in own_home.iterdir() if file.is_file()]
    (own_home / "file").touch()
    monkeypatch.setenv("HOMEGROWN_HOME", str(own_home / "file" / "home"))
    finding = found(checkup.storage, "home")
    assert finding.state == "bad"
    assert "HOMEGROWN_HOME" in finding.mend


def test_a_disk_that_is_nearly_full(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "DISK_LOW", 2**62)
    assert found(checkup.storage, "disk").state == "note"
    monkeypatch.setattr(checkup, "DISK_OUT", 2**62)
    assert found(checkup.storage, "disk").state == "bad"


def test_an_address_that_a_stranger_has(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(checkup.configuration, "address").state == "good"
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setenv("HOMEGROWN_PORT", str(stranger.getsockname()[1]))
        finding = found(checkup.configuration, "address")
    assert finding.state == "bad"
    assert "HOMEGROWN_PORT" in finding.mend


def test_an_address_where_we_serve_already(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_traffic(build_app()) as (url, _):
        monkeypatch.setenv("HOMEGROWN_PORT", url.rpartition(":")[2])
        finding = found(checkup.configuration, "address")
    assert (finding.state, "serves" in finding.said) == ("good", True)


def test_secrets_are_not_shown(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_API_KEY", "a-key-of-some-length")
    monkeypatch.setenv("HOMEGROWN_DATABASE_URL", "postgresql://me:the-password@127.0.0.1:9/none")
    output = run().stdout
    assert "api_key" in output
    assert "a-key-of-some-length" not in output
    assert "the-password" not in output


def test_a_database_that_nobody_answers_for(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_DATABASE_URL", "postgresql://me@127.0.0.1:9/none")
    finding = found(checkup.database, "database")
    assert finding.state == "bad"
    assert "HOMEGROWN_DATABASE_URL" in finding.mend


def test_a_database_of_every_age(own_home: Path) -> None:
    file = own_home / "homegrown.db"
    assert "first start" in found(checkup.database, "database").said
    assert not file.exists()
    file.touch()
    assert found(checkup.database, "database").state == "note"
    migrate(database_url())
    assert found(checkup.database, "database").state == "good"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    finding = found(checkup.database, "database")
    assert (finding.state, finding.mend) == ("bad", "update Homegrown")


def test_models_that_are_broken_or_missing(own_home: Path, tiny_model: Path) -> None:
    assert found(checkup.models, "models").state == "note"
    folder = Path(shutil.copytree(tiny_model, own_home / "models" / "tiny"))
    assert found(checkup.models, "model tiny").state == "good"
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    finding = found(checkup.models, "model tiny")
    assert finding.state == "bad"
    assert "truncated" in finding.said
    assert finding.mend.startswith("copy or download the file again")


def test_a_model_whose_parent_was_changed(own_home: Path, tiny_model: Path) -> None:
    parent, child = (Path(shutil.copytree(tiny_model, own_home / "models" / name)) for name in ("parent", "child"))
    finish_model_folder(child, Lineage(stage="sft", parent="parent", parent_sha256=folder_digest(parent)))
    assert found(checkup.models, "model child").state == "good"
    (parent / "tokenizer_config.json").write_text("{}")
    _, finding = (finding for finding in checkup.models() if finding.what == "model child")
    assert (finding.state, finding.said) == ("note", "grew from another parent than the one here")


def test_what_fits_grows_with_the_memory_and_shrinks_with_the_precision() -> None:
    fits = [{(fit.size, fit.dtype) for fit in what_fits(gib * GIB) if fit.fits} for gib in (1, 8, 24, 80, 640)]
    assert fits[0] == set()
    assert all(less < more for less, more in pairwise(fits))
    assert ("1.7B", "bfloat16") in fits[1]
    assert ("8B", "bfloat16") not in fits[1]
    assert ("32B", "bfloat16") in fits[3]
    assert ("70B", "bfloat16") not in fits[3]
    for size, dtype in fits[2]:
        assert dtype == "4 bits" or (size, "4 bits") in fits[2]
