"""Our own OpenAPI document against our own server, in front of a real vLLM."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from assistant.service import extension
from serving.engine import free_port
from serving.serve import serving
from serving.settings import read_settings
from tests.conftest import ROOT, Api

# What is allowed may still not fit this model: a prompt too long, a tool that is not there, a grammar nobody knows.
# And an engine that runs elsewhere has no model promoted or rolled back.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]
"""


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """A server in front of the session's engine, which an attack must not exchange for another (/api/promotions)."""
    settings = read_settings(port=free_port(), engine_url=api.engine.base_url, max_body_bytes=2**20)
    with serving(settings, "taught", [extension]) as (url, _):
        yield url


@pytest.mark.timeout(1000)
def test_the_server_does_what_its_document_says(url: str, tmp_path: Path) -> None:
    """Schemathesis sends what the document allows and what it does not, with every check that it has: the server must
    refuse the latter, never fail, and always answer as documented.
    """
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    attack = subprocess.run(
        [
            *(Path(sys.executable).parent / "schemathesis", "--config-file", tmp_path / "schemathesis.toml"),
            *("run", f"{url}/openapi.json", "--checks", "all", "--seed", "1", "--max-examples", "10"),
            *("--generation-deterministic", "--request-timeout", "120", "--max-response-time", "60", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert attack.returncode == 0, attack.stdout + attack.stderr
    assert int(re.search(r"Tested: (\d+)", attack.stdout)[1]) >= 12
    assert httpx.get(f"{url}/ready").status_code == 200


def test_the_document_is_sound(url: str) -> None:
    document = httpx.get(f"{url}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert set(document["paths"]) >= {"/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models/{model}"}
