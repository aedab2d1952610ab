"""Two assistants on one PostgreSQL, one folder and one engine, as docs/deploy.md has them behind a balancer."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assistant.service import extension
from serving.engine import free_port
from serving.serve import serving
from serving.settings import read_settings
from tests.conftest import Api
from tests.postgres import Postgres

KEY = "the-key-of-the-owner"


@contextlib.contextmanager
def replica(api: Api, database: str) -> Iterator[httpx.Client]:
    """One assistant in front of the session's engine."""
    settings = read_settings(
        port=free_port(), engine_url=api.engine.base_url, database_url=database, api_key=KEY, images=False
    )
    with serving(settings, None, [extension]) as (url, _), httpx.Client(base_url=url, timeout=60) as http:
        http.headers["X-Homegrown"] = "1"
        yield http


@pytest.fixture
def replicas(
    api: Api, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    database = postgres.new_database()
    with replica(api, database) as one, replica(api, database) as two:
        yield one, two


def messages(http: httpx.Client, conversation: str) -> list[dict]:
    answer = http.get(f"/api/conversations/{conversation}")
    assert answer.status_code == 200, answer.text
    return answer.json()["messages"]


def test_a_person_may_be_sent_to_either(replicas: tuple[httpx.Client, httpx.Client]) -> None:
    one, two = replicas
    assert one.get("/api/me").status_code == 401
    login = one.post("/login", data={"key": KEY})
    assert login.status_code == 303
    two.cookies = one.cookies
    assert two.get("/api/me").json()["user"] == one.get("/api/me").json()["user"]

    conversation = one.post("/api/conversations", json={"model": "taught", "settings": {"temperature": 0}}).json()["id"]
    first = one.post(f"/api/conversations/{conversation}/turns", json={"parent_id": None, "content": "hi"}).json()
    deadline = time.monotonic() + 60
    while messages(two, conversation)[-1]["state"] != "done":
        assert time.monotonic() < deadline, messages(two, conversation)
        time.sleep(0.1)
    asked = {"parent_id": first["assistant"]["id"], "content": "hi"}
    assert two.post(f"/api/conversations/{conversation}/turns", json=asked).status_code == 202
    deadline = time.monotonic() + 60
    while [one["state"] for one in messages(one, conversation)] != ["done"] * 4:
        assert time.monotonic() < deadline, messages(one, conversation)
        time.sleep(0.1)
    assert [message["content"] for message in messages(one, conversation)] == [
        message["content"] for message in messages(two, conversation)
    ]

    document = one.post("/api/documents", files={"file": ("notes.txt", b"The rent is 700 euros.", "text/plain")})
    assert document.status_code in (200, 201), document.text
    assert [kept["name"] for kept in two.get("/api/documents").json()["documents"]] == ["notes.txt"]
