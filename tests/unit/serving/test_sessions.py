import os
from pathlib import Path

import pytest

from serving.sessions import Sessions, session_secret

KEY_ID, SHA256 = "0a" * 16, "1b" * 32


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def sessions(clock: list[float]) -> Sessions:
    return Sessions(b"s" * 32, 60, lambda: clock[0])


def test_a_cookie_names_its_key_until_it_expires(sessions: Sessions, clock: list[float]) -> None:
    cookie = sessions.issue(KEY_ID, SHA256)
    assert sessions.key_id(cookie) == KEY_ID
    assert sessions.is_genuine(cookie, SHA256)
    clock[0] += 59.9
    assert sessions.key_id(cookie) == KEY_ID
    clock[0] += 0.1
    assert sessions.key_id(cookie) is None


def test_a_cookie_belongs_to_one_key_and_one_secret(sessions: Sessions) -> None:
    cookie = sessions.issue(KEY_ID, SHA256)
    assert not sessions.is_genuine(cookie, "2c" * 32)
    assert not Sessions(b"t" * 32, 60).is_genuine(cookie, SHA256)


def test_no_character_of_a_cookie_can_be_changed(sessions: Sessions) -> None:
    cookie = sessions.issue(KEY_ID, SHA256)
    for place, character in enumerate(cookie):
        forged = cookie[:place] + ("1" if character != "1" else "2") + cookie[place + 1 :]
        assert not sessions.is_genuine(forged, SHA256)


@pytest.mark.parametrize(
    "cookie", ["", ".", "..", "a", "a.b.c", f"{KEY_ID}.", f"{KEY_ID}.²", f"{KEY_ID}.1e9.x", f"{KEY_ID}.-1.x",
               f"{KEY_ID}.{'9' * 5000}.x", f"{KEY_ID}.nan.x", f"{KEY_ID}.999.x", "é.1.\0"],
)  # fmt: skip
def test_what_is_no_cookie_of_ours_is_nobody(sessions: Sessions, cookie: str) -> None:
    assert sessions.key_id(cookie) is None
    assert not sessions.is_genuine(cookie, SHA256)


def test_the_secret_is_kept_for_its_owner_alone_and_one_cut_short_is_replaced(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    secret = session_secret(home)
    assert len(secret) == 32
    assert session_secret(home) == secret
    assert session_secret(tmp_path) != secret
    file = home / "session-secret"
    assert os.stat(file).st_mode & 0o777 == 0o600
    file.write_bytes(secret[:8])
    assert len(session_secret(home)) == 32
    assert [path.name for path in home.iterdir()] == ["session-secret"]
