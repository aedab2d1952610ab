import asyncio
import json

import pytest

from serving.api.guard import MAX_HEADER_BYTES, Access, Guard

KEY = "a-key-of-some-length"


def ask(access: Access, path: str = "/v1/models", kind: str = "http", **headers: str) -> tuple[int, dict, dict]:
    """Status, headers and JSON of a request through a guard; behind it everything answers 200."""

    async def behind(scope: dict, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request"}

    given = {"host": "localhost:8000"} | headers
    encoded = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": kind, "path": path, "method": "GET", "headers": encoded}
    asyncio.run(Guard(behind, access)(scope, receive, send))
    if kind == "websocket":
        return sent[0]["code"], {}, {}
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, json.loads(sent[1]["body"])


LOCKED = Access.of("127.0.0.1", KEY, [])
OPEN = Access.of("127.0.0.1", None, [])


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "//v1/models", "/%761/models", "/V1/MODELS", "/health/", "/HEALTH", "/docs", "/metrics"]
)
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": KEY}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {KEY}"},
                {"x-api-key": KEY}, {"authorization": "Bearer "}, {"authorization": "Bearer ' OR 1=1 --"}],
)  # fmt: skip
def test_without_the_key_everything_but_health_is_denied(path: str, headers: dict[str, str]) -> None:
    status, answered, body = ask(LOCKED, path, **headers)
    assert status == 401
    assert answered["www-authenticate"] == "Bearer"
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == "invalid_api_key"
    assert KEY not in json.dumps(body)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_key_opens(scheme: str) -> None:
    assert ask(LOCKED, authorization=f"{scheme} {KEY}")[0] == 200


def test_health_is_open_and_hosts_cannot_smuggle_a_path() -> None:
    assert ask(LOCKED, "/health")[0] == 200
    assert ask(LOCKED, "/v1/models", host="localhost/health?")[0] == 401


PICTURE = f"/v1/images/files/{'0a' * 32}.png"


def test_pictures_are_open_since_their_urls_are_signed() -> None:
    assert ask(LOCKED, PICTURE)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/images/files/", "/v1/images/files/secret", f"{PICTURE}/", f"{PICTURE}\n", f"/x{PICTURE}",
     f"{PICTURE}/../secret", PICTURE.upper(), PICTURE.replace("0a", "0g"), PICTURE.replace("png", "svg"),
     "/v1/images/generations"],
)  # fmt: skip
def test_nothing_beside_pictures_is_open(path: str) -> None:
    assert ask(LOCKED, path)[0] == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "127.0.0.1.nip.io"]
)
def test_other_names_for_this_machine_are_refused(host: str) -> None:
    status, _, body = ask(OPEN, host=host)
    assert status == 403
    assert body["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_own_names_are_known(host: str) -> None:
    assert ask(OPEN, host=host)[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403)]
)
def test_pages_of_other_sites_are_refused(origin: str, status: int) -> None:
    assert ask(OPEN, origin=origin)[0] == status


def test_listed_names_are_known() -> None:
    access = Access.of("0.0.0.0", KEY, ["Llm.Example"])
    assert ask(access, host="llm.example:443", authorization=f"Bearer {KEY}")[0] == 200
    assert ask(access, host="evil.example", authorization=f"Bearer {KEY}")[0] == 403


def test_every_answer_has_an_id_of_its_own() -> None:
    ids = {ask(OPEN)[1]["x-request-id"], ask(OPEN, host="evil.example")[1]["x-request-id"]}
    assert len(ids) == 2


def test_huge_headers_and_websockets_are_refused() -> None:
    assert ask(OPEN, cookie="x" * MAX_HEADER_BYTES)[0] == 431
    assert ask(OPEN, kind="websocket")[0] == 1008
