"""Login and logout on a guarded server, and sessions that end with their key."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.datastructures import State

from serving.api.login import WRONG_PER_MINUTE, WrongKeys
from serving.keyring import LIFE_S
from tests.unit.serving.guarded_house import Answer, House, ask_running

OWN_KEY = "a-key-of-some-length-é"
FORM = "application/x-www-form-urlencoded"
BROWSER = {"accept": "text/html,*/*", "origin": "http://localhost:8000"}


def form(key: str) -> dict:
    return {"body": urlencode({"key": key}).encode(), "content_type": FORM} | BROWSER


def log_in(house: House, key: str, **more: object) -> Answer:
    return house.ask("/login", "POST", **form(key), **more)


@pytest.fixture
def locked(house: Callable[..., House]) -> House:
    return house(api_key=OWN_KEY)


def test_a_browser_is_sent_to_the_login_and_from_there_to_the_page(locked: House) -> None:
    sent = locked.ask("/", accept="text/html")
    assert (sent.status, sent.headers["location"]) == (303, "/login")
    assert locked.ask("/").status == 401
    assert locked.ask("/api/me", accept="text/html").status == 401
    shown = locked.ask("/login")
    assert shown.status == 200
    assert shown.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    entered = log_in(locked, OWN_KEY)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    assert locked.ask("/", cookie=f"theme={{]; {entered.cookie}; other=1").body["user"] == "owner"


def test_the_cookie_is_kept_from_scripts_and_other_sites(locked: House) -> None:
    attributes = log_in(locked, OWN_KEY).headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "Path=/", "SameSite=strict", f"Max-Age={7 * 86400}"} == set(attributes)
    assert OWN_KEY not in log_in(locked, OWN_KEY).headers["set-cookie"]
    secure = log_in(locked, OWN_KEY, scheme="https").headers["set-cookie"].split("; ")
    assert "Secure" in secure


def test_a_key_from_the_database_logs_its_user_in(locked: House) -> None:
    cookie = log_in(locked, locked.make_key("ada")).cookie
    assert locked.ask(cookie=cookie).body["user"] == "ada"


@pytest.mark.parametrize("key", ["", "wrong", "' OR 1=1 --", OWN_KEY[:-1], f"{OWN_KEY}x", "\0", "x" * 3000])
def test_a_wrong_key_gets_no_cookie(locked: House, key: str) -> None:
    answer = log_in(locked, key)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [({"content_type": "application/json", "body": b"{}"}, 415), ({"content_type": FORM, "body": b"a" * 5000}, 413),
     ({"content_type": FORM, "body": b"a=1&" * 100}, 400), ({"content_type": FORM, "body": b"\xff=\xfe&key=%ff"}, 401)],
)  # fmt: skip
def test_other_forms_are_refused(locked: House, request_: dict, status: int) -> None:
    assert locked.ask("/login", "POST", **request_).status == status


def test_other_sites_can_neither_log_in_nor_change_things_with_a_cookie(locked: House) -> None:
    cookie = log_in(locked, OWN_KEY).cookie
    foreign = {"origin": "http://localhost:3000"}
    assert locked.ask("/login", "POST", **(form(OWN_KEY) | foreign)).status == 403
    for path in ("/logout", "/v1/chat/completions", "/api/x"):
        assert locked.ask(path, "POST", cookie=cookie, x_homegrown="1", **foreign).code == "cross_site_request"
    assert locked.ask("/api/x", "POST", cookie=cookie).code == "cross_site_request"
    assert locked.ask("/api/x", "POST", cookie=cookie, x_homegrown="1").body["user"] == "owner"


def test_logging_out_takes_the_cookie_back(locked: House) -> None:
    cookie = log_in(locked, OWN_KEY).cookie
    answer = locked.ask("/logout", "POST", cookie=cookie, **BROWSER)
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.cookie == 'homegrown_session=""'


def test_a_session_ends_with_its_key(locked: House, house: Callable[..., House]) -> None:
    cookie = log_in(locked, locked.make_key("ada")).cookie
    own = log_in(locked, OWN_KEY).cookie
    locked.revoke("ada")
    assert locked.ask(cookie=cookie).status == 401
    assert locked.ask(cookie=own).body["user"] == "owner"
    assert house(api_key="another-key-of-some-length").ask(cookie=own).status == 401


def test_a_running_server_notices_within_a_second(locked: House) -> None:
    async def work(state: State) -> list[int]:
        moment = 0.0
        state.access._keyring._clock = lambda: moment
        statuses = [(await ask_running(state, authorization=f"Bearer {key}")).status]
        await state.access._keyring._store.revoke("ada")
        for moment in (LIFE_S / 2, LIFE_S):  # noqa: B007 - the clock reads it
            statuses.append((await ask_running(state, authorization=f"Bearer {key}")).status)
        return statuses

    key = locked.make_key("ada")
    assert locked.within(work) == [200, 200, 401]


def test_an_expired_key_opens_nothing(locked: House) -> None:
    key = locked.make_key("ada", life=timedelta(seconds=-1))
    assert locked.ask(authorization=f"Bearer {key}").status == 401
    assert log_in(locked, key).status == 401


def test_an_expired_key_does_not_open_a_server_to_everybody(house: Callable[..., House]) -> None:
    alone = house()
    alone.make_key("ada", life=timedelta(seconds=-1))
    assert alone.ask().status == 401


def test_whoever_tries_keys_is_slowed_down_and_nobody_else(locked: House) -> None:
    async def work(state: State) -> list[Answer]:
        async def try_key(key: str, peer: str) -> Answer:
            return await ask_running(state, "/login", "POST", **form(key), peer=peer)

        wrong = [await try_key("wrong", "2001:db8::1") for _ in range(WRONG_PER_MINUTE)]
        return [*wrong, await try_key(OWN_KEY, "2001:db8::2"), await try_key(OWN_KEY, "2001:db8:0:1::1")]

    *wrong, neighbour, other = locked.within(work)
    assert {answer.status for answer in wrong} == {401}
    assert neighbour.status == 429
    assert 0 < int(neighbour.headers["retry-after"]) <= 60 / WRONG_PER_MINUTE
    assert "set-cookie" not in neighbour.headers
    assert other.status == 303


def test_waiting_lets_one_try_again() -> None:
    now = 0.0
    wrong = WrongKeys(lambda: now)
    for _ in range(WRONG_PER_MINUTE):
        assert wrong.wait_s("192.0.2.7") == 0
        wrong.add("192.0.2.7")
    now += wrong.wait_s("192.0.2.7")
    assert wrong.wait_s("192.0.2.7") == 0
    assert now == 60 / WRONG_PER_MINUTE
