import hashlib
from collections.abc import Callable

import pytest
from starlette.datastructures import State

from serving.api.guard import MAX_HEADER_BYTES
from serving.limits import KeyLimits
from tests.unit.serving.guarded_house import INTERNAL_KEY, METHODS, Answer, House, ask_running

KEY = "a-key-of-some-length"
BEARER = {"authorization": f"Bearer {KEY}"}
PICTURE = f"/v1/images/files/{'0a' * 32}.png"
CLOSED = ["/", "/v1/models", "//v1/models", "/%761/models", "/V1/MODELS", "/health/", "/HEALTH", "/docs", "/metrics",
          "/health\n", "/health/../v1/models", "/login/", "/logout", "/api/me", "/static", "/static/",
          "/static/.hidden", "/static/../secret", "/static/a/../b", "/static//etc/passwd", "/x/static/a.js", "",
          "*"]  # fmt: skip
WRONG = [{}, {"authorization": KEY}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {KEY}"},
         {"authorization": "Bearer "}, {"authorization": "Bearer ' OR 1=1 --"}, {"authorization": "Bearer \xff\0"},
         {"authorization": f"Bearer {hashlib.sha256(KEY.encode()).hexdigest()}"}, {"x_api_key": "wrong"},
         {"x_api_key": ""}, {"authorization": "Bearer wrong", "x_api_key": KEY}, {"x_homegrown": "1"},
         {"cookie": f"homegrown_session={KEY}"}, {"cookie": "homegrown_session=owner.99999999999.0a"}]  # fmt: skip


@pytest.fixture
def locked(house: Callable[..., House]) -> House:
    return house(api_key=KEY)


@pytest.fixture
def open_house(house: Callable[..., House]) -> House:
    return house()


@pytest.mark.parametrize("headers", WRONG)
def test_without_the_key_everything_but_open_paths_is_denied(locked: House, headers: dict[str, str]) -> None:
    async def ask_all(state: State) -> list[Answer]:
        return [await ask_running(state, path, method, **headers) for path in CLOSED for method in METHODS]

    for answer in locked.within(ask_all):
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.body["error"]) == {"message", "type", "param", "code"}
        assert answer.code == "invalid_api_key"
        assert KEY not in str(answer)


@pytest.mark.parametrize(
    "headers", [BEARER, {"authorization": f"bearer  {KEY}"}, {"x_api_key": KEY},
                {"authorization": "Basic YTpi", "x_api_key": KEY}],
)  # fmt: skip
def test_the_key_opens_in_both_headers(locked: House, headers: dict[str, str]) -> None:
    assert locked.ask(**headers).body == {"user": "owner", "key": "owner"}


@pytest.mark.parametrize("path", ["/health", "/ready", "/static/0a1b/app.js", "/static/font-1_2.woff2", PICTURE])
def test_open_paths(locked: House, path: str) -> None:
    assert locked.ask(path).body == {"user": None, "key": None}


@pytest.mark.parametrize(
    "path",
    ["/v1/images/files/", "/v1/images/files/secret", f"{PICTURE}/", f"{PICTURE}\n", f"/x{PICTURE}",
     f"{PICTURE}/../secret", PICTURE.upper(), PICTURE.replace("0a", "0g"), PICTURE.replace("png", "svg"),
     "/v1/images/generations"],
)  # fmt: skip
def test_nothing_beside_pictures_is_open(locked: House, path: str) -> None:
    assert locked.ask(path).status == 401


def test_hosts_cannot_smuggle_a_path(locked: House) -> None:
    assert locked.ask(host="localhost/health?").status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "127.0.0.1.nip.io"]
)
def test_other_names_for_this_machine_are_refused(open_house: House, host: str) -> None:
    answer = open_house.ask(host=host)
    assert (answer.status, answer.code) == (403, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_own_names_are_known(open_house: House, host: str) -> None:
    assert open_house.ask(host=host).status == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403), ("http://[", 403)],
)
def test_pages_of_other_sites_are_refused(open_house: House, origin: str, status: int) -> None:
    assert open_house.ask(origin=origin).status == status


def test_listed_names_are_known(house: Callable[..., House]) -> None:
    public = house(host="0.0.0.0", api_key=KEY, allowed_hosts=["Llm.Example"])
    assert public.ask(host="llm.example:443", **BEARER).status == 200
    assert public.ask(host="evil.example", **BEARER).status == 403


def test_huge_headers_and_websockets_are_refused(open_house: House) -> None:
    assert open_house.ask(cookie="x" * MAX_HEADER_BYTES).status == 431
    assert open_house.ask(kind="websocket").status == 1008


def test_on_loopback_nobody_needs_a_key_until_there_is_one(open_house: House) -> None:
    assert open_house.ask(authorization="Bearer none").body == {"user": "local", "key": None}
    assert open_house.ask(peer="192.0.2.7").status == 401  # forwarded by a proxy
    key = open_house.make_key("ada")
    assert open_house.ask().status == 401
    assert open_house.ask(authorization=f"Bearer {key}").body["user"] == "ada"


def test_a_public_server_is_never_open(house: Callable[..., House]) -> None:
    assert house(host="0.0.0.0").ask().status == 401


def test_only_this_machine_may_use_the_internal_key(locked: House, house: Callable[..., House]) -> None:
    bearer = {"authorization": f"Bearer {INTERNAL_KEY}"}
    assert locked.ask(**bearer).body["user"] == "internal"
    assert locked.ask(**bearer, peer="::1").body["user"] == "internal"
    assert locked.ask(**bearer, peer="192.0.2.7").status == 401
    elsewhere = house(host="192.0.2.7", api_key=KEY)
    assert elsewhere.ask(**bearer, peer="192.0.2.7").body["user"] == "internal"
    assert elsewhere.ask(**bearer, peer="192.0.2.8").status == 401


@pytest.mark.parametrize(
    ("scope", "opens"),
    [("chat", {"/v1/chat/completions", "/api/me", "/", "/v1/models", "/api/usage/"}),
     ("images", {"/v1/images/generations", "/v1/models", "/v1/models/a/b"}),
     ("admin", {"/metrics", "/v1/models"})],
)  # fmt: skip
def test_a_key_opens_what_its_scopes_say(open_house: House, scope: str, opens: set[str]) -> None:
    bearer = {"authorization": f"Bearer {open_house.make_key(scopes=frozenset({scope}))}"}
    others = {"/v1/chat/completions", "/v1/images/generations", "/metrics", "/"} - opens
    for path in opens | others:
        answer = open_house.ask(path, "GET", **bearer)
        assert answer.status == (200 if path in opens else 403), path
        assert path in opens or answer.code == "insufficient_permissions"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_a_key_changes_must_come_from_the_page(open_house: House, method: str) -> None:
    own = {"x_homegrown": "1"}
    assert open_house.ask("/api/x", method, **own).status == 200
    assert open_house.ask("/api/x", method, **own, origin="http://localhost:8000").status == 200
    for forged in ({}, {"x_homegrown": "0"}, own | {"origin": "http://localhost:3000"}):
        answer = open_house.ask("/api/x", method, **forged)
        assert (answer.status, answer.code) == (403, "cross_site_request")
    assert open_house.ask("/v1/chat/completions", method).status == 200
    assert open_house.ask("/v1/chat/completions", method, origin="http://localhost:3000").status == 403


def test_who_shows_a_key_may_change_things_from_anywhere(locked: House) -> None:
    assert locked.ask("/api/x", "POST", **BEARER, origin="http://localhost:3000").status == 200


def test_a_limit_is_told_and_holds_for_each_key(open_house: House) -> None:
    def bearer(requests: int) -> dict[str, str]:
        key = open_house.make_key(limits=KeyLimits(requests_per_minute=requests))
        return {"authorization": f"Bearer {key}"}

    async def ask_all(state: State) -> list[Answer]:
        asked = [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/api/conversations/0a/turns"),
                 ("POST", "/v1/completions"), ("GET", "/v1/models")]  # fmt: skip
        first = [await ask_running(state, path, method, **two) for method, path in asked]
        return [*first, await ask_running(state, "/v1/completions", "POST", **one)]

    two, one = bearer(2), bearer(1)
    free, first, second, refused, still_free, other = open_house.within(ask_all)
    assert [answer.status for answer in (free, first, second, still_free, other)] == [200] * 5
    assert "x-ratelimit-limit-requests" not in free.headers
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.body["error"]["type"] == "rate_limit_error"
    assert 0 < int(refused.headers["retry-after"]) <= 30


def test_without_its_database_a_server_says_so(open_house: House) -> None:
    async def ask_without_tables(state: State) -> Answer:
        async with state.database.session() as session:
            connection = await session.connection()
            await connection.exec_driver_sql("ALTER TABLE keys RENAME TO gone")
        return await ask_running(state)

    answer = open_house.within(ask_without_tables)
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert "keys" not in answer.body["error"]["message"]
