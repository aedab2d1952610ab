"""/api/promotions without an engine of ours: who may ask, what is refused, how a turn waits while engines change."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from serving.api.app import exchange_engine
from serving.engine import EngineState
from serving.registry import promote
from tests.obedient_model import CODE, MODEL
from tests.page_server import page_server
from tests.unit.serving.guarded_house import House
from tests.unit.serving.picture_api import PictureApi, refusal
from tests.unit.serving.promotable import fill

HEADER = {"X-Homegrown": "1"}


def test_the_history_is_told_newest_first(served: PictureApi, tiny_model: Path) -> None:
    assert served.http.get("/api/promotions").json() == {"object": "list", "model": "words", "data": []}
    fill(served.home, tiny_model)
    first, second = promote("better", "one"), promote("almanac-base", "two")
    data = served.http.get("/api/promotions").json()["data"]
    assert data == [second.model_dump(mode="json"), first.model_dump(mode="json")]


def test_an_engine_that_runs_elsewhere_keeps_its_model(served: PictureApi) -> None:
    for path, body in (("/api/promotions", {"model": "better"}), ("/api/promotions/rollback", {})):
        answer = served.http.post(path, json=body, headers=HEADER)
        assert "--engine-url" in refusal(answer, 409, "engine_elsewhere", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "../secret"}, "model"),
        ({"model": "a b"}, "model"),
        ({"model": "better", "reason": ""}, "reason"),
        ({"model": "better", "sha256": "abc"}, "sha256"),
        ({"model": "better", "force": True}, "force"),
    ],
)
def test_a_body_that_names_no_model_is_refused(served: PictureApi, body: dict, param: str) -> None:
    answer = served.http.post("/api/promotions", json=body, headers=HEADER)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_pages_of_other_sites_cannot_promote(served: PictureApi) -> None:
    answer = served.http.post("/api/promotions", json={"model": "better"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_request")


def test_only_an_admin_may_look_and_promote(house: Callable[..., House]) -> None:
    guarded = house()
    chatting = guarded.make_key("ada", frozenset({"chat", "images"}))
    admin = guarded.make_key("eve", frozenset({"admin"}))
    for method, path in (("GET", "/api/promotions"), ("POST", "/api/promotions"), ("POST", "/api/promotions/rollback")):
        assert guarded.ask(path, method, authorization=f"Bearer {chatting}").status == 403
        assert guarded.ask(path, method, authorization=f"Bearer {admin}").status == 200


def test_a_turn_waits_for_the_engine_that_takes_over_and_others_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    with page_server() as served:
        old = served.app.state.upstream.engine
        new = SimpleNamespace(**vars(old) | {"model_name": "new", "also_called": [MODEL]})
        new.state = EngineState("starting", "the engine is starting")
        exchange_engine(served.app, new)
        cards = {card["id"]: card["root"] for card in served.http.get("/v1/models").json()["data"]}
        assert cards == {"new": "new", MODEL: "new", "images": "images", "assistant": "assistant"}
        asked = {"model": MODEL, "messages": [{"role": "user", "content": "code"}]}
        answer = served.http.post("/v1/chat/completions", json=asked)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        conversation = served.http.post("/api/conversations", json={"model": MODEL}).json()["id"]
        turn = served.http.post(f"/api/conversations/{conversation}/turns", json={"content": "code"}).json()
        assert turn["assistant"]["model"] == "new"
        time.sleep(1)
        assert last_message(served.http, conversation)["state"] == "running"
        new.state = EngineState("ready", "the engine is ready")
        deadline = time.monotonic() + 30
        while last_message(served.http, conversation)["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert last_message(served.http, conversation)["content"] == CODE


def last_message(http: httpx.Client, conversation: str) -> dict:
    return http.get(f"/api/conversations/{conversation}").json()["messages"][-1]
