"""Two users of one server: whatever belongs to the one does not exist for the other, at any route."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi.routing import APIRoute

from serving.database import Database, database_url, migrate
from serving.keys import KeyStore
from tests.page_server import PageServer, page_server

FINE = {
    "/api/conversations/{conversation_id}": {"title": "Mine now"},
    "/api/conversations/{conversation_id}/turns": {"content": "Who are you?"},
    "/api/messages/{message_id}/regenerate": {},
    "/api/messages/{message_id}/draw-again": {"step": 0},
    "/api/messages/{message_id}/feedback": {"thumb": 1},
}
"""A body with which the owner's request succeeds, of each route that takes one."""


@dataclass
class House:
    """A server with two users, and what Ada has on it."""

    served: PageServer
    ada: httpx.Client
    bob: httpx.Client
    ids: dict[str, str]


def make_keys() -> list[str]:
    async def make() -> list[str]:
        database = Database(database_url())
        store = KeyStore(database)
        keys = [(await store.create(user, user))[1] for user in ("ada", "bob")]
        await database.close()
        return keys

    migrate(database_url())
    return asyncio.run(make())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(tmp_path_factory.mktemp("home")))
        keys = make_keys()
        with page_server() as served:
            clients = [
                httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
                for key in keys
            ]
            with clients[0] as ada, clients[1] as bob:
                yield House(served, ada, bob, belongings(ada))


def belongings(http: httpx.Client) -> dict[str, str]:
    """Ids of a conversation with a picture in it and of a document, by the names of the routes' parameters."""
    conversation = http.post("/api/conversations", json={}).json()["id"]
    begun = http.post(f"/api/conversations/{conversation}/turns", json={"content": "draw a secret"}).json()
    http.get(f"/api/messages/{begun['assistant']['id']}/events")  # waits for the end
    document = http.post("/api/documents", files={"file": ("secret.txt", b"A secret about zebras.")}).json()["id"]
    return {"conversation_id": conversation, "message_id": begun["assistant"]["id"], "document_id": document}


def routes_with_ids(served: PageServer) -> list[tuple[str, str]]:
    """Method and path of all routes of the page's API that name something."""
    routes = [route for route in served.app.routes if isinstance(route, APIRoute) and route.path.startswith("/api/")]
    return [(method, route.path) for route in routes if "{" in route.path for method in sorted(route.methods)]


def request(http: httpx.Client, method: str, path: str, ids: dict[str, str]) -> httpx.Response:
    body = FINE.get(path) if method in ("POST", "PATCH") else None
    return http.request(method, path.format(**ids), json=body)


def test_what_belongs_to_somebody_else_does_not_exist(house: House) -> None:
    routes = routes_with_ids(house.served)
    assert len(routes) >= 11
    nobody = dict.fromkeys(house.ids, "0" * 32)
    for method, path in routes:
        refused, unknown = (request(house.bob, method, path, ids) for ids in (house.ids, nobody))
        assert refused.status_code == 404, (method, path, refused.text)
        assert refused.json() == unknown.json(), (method, path)


def test_neither_do_lists_searches_or_tools_show_it(house: House) -> None:
    assert house.bob.get("/api/conversations").json()["conversations"] == []
    assert house.bob.get("/api/conversations?search=secret").json()["conversations"] == []
    assert house.bob.get(f"/api/conversations?before={house.ids['conversation_id']}").status_code == 404
    assert house.bob.get("/api/documents").json() == {"documents": []}
    conversation = house.bob.post("/api/conversations", json={}).json()["id"]
    begun = house.bob.post(f"/api/conversations/{conversation}/turns", json={"content": "search zebras"}).json()
    seen = house.bob.get(f"/api/messages/{begun['assistant']['id']}/events").text
    assert '"state":"done"' in seen
    assert "secret" not in seen


def test_nothing_can_be_said_into_somebody_elses_conversation(house: House) -> None:
    conversation = house.bob.post("/api/conversations", json={}).json()["id"]
    question = {"content": "Go on", "parent_id": house.ids["message_id"]}
    assert house.bob.post(f"/api/conversations/{conversation}/turns", json=question).status_code == 404
    head = {"head_id": house.ids["message_id"]}
    assert house.bob.patch(f"/api/conversations/{conversation}", json=head).status_code == 404


def test_a_running_answer_can_neither_be_watched_nor_stopped(house: House) -> None:
    conversation = house.ada.post("/api/conversations", json={}).json()["id"]
    begun = house.ada.post(f"/api/conversations/{conversation}/turns", json={"content": "wait"}).json()
    ids = house.ids | {"conversation_id": conversation, "message_id": begun["assistant"]["id"]}
    for method, path in routes_with_ids(house.served):
        assert request(house.bob, method, path, ids).status_code == 404, (method, path)
    kept = house.ada.get(f"/api/conversations/{conversation}").json()["messages"][-1]
    assert (kept["state"], kept["feedback"]) == ("running", None)
    assert house.ada.post(f"/api/messages/{ids['message_id']}/stop").status_code == 204


def test_without_a_key_nothing_is_there(house: House) -> None:
    for method, path in routes_with_ids(house.served):
        assert request(httpx.Client(base_url=house.served.url), method, path, house.ids).status_code == 401


def test_everything_is_still_there_for_its_owner(house: House) -> None:
    kept = json.dumps(house.ada.get(f"/api/conversations/{house.ids['conversation_id']}").json())
    assert "draw a secret" in kept
    for method, path in sorted(routes_with_ids(house.served), key=lambda route: route[0] == "DELETE"):
        answer = request(house.ada, method, path, house.ids)
        assert answer.status_code < 300, (method, path, answer.text)
        if path.endswith(("/turns", "/regenerate", "/draw-again")):
            begun = answer.json()["assistant"]["id"]
            house.ada.get(f"/api/messages/{begun}/events")
