import json
from pathlib import Path

import httpx
import pytest

from serving.errors import UserError
from serving.logs import REDACTED, log, logging_to
from tests.unit.serving.traffic_api import build_app, serve_traffic

SECRET = "sk-do-not-tell-anybody"


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def logged(file: Path, ask: object, **options: bool) -> list[dict]:
    """The lines about what `ask` does with a client."""
    with logging_to(file, [SECRET]), serve_traffic(build_app(), **options) as (url, _), httpx.Client() as http:
        http.base_url = url
        ask(http)
    return lines(file)


def test_a_request_is_one_line_that_says_who_and_how_but_not_what(tmp_path: Path) -> None:
    def ask(http: httpx.Client) -> None:
        headers = {"Authorization": f"Bearer {SECRET}", "Cookie": "session=cookie-value"}
        answer = http.post("/v1/echo?token=query-value", json={"content": "my diary"}, headers=headers)
        ask.id = answer.headers["x-request-id"]

    (line,) = logged(tmp_path / "api.log", ask)
    assert line["time"].endswith("+00:00")
    assert line.pop("seconds") >= line.pop("first_s") > 0
    assert line | {"time": None} == {
        "time": None,
        "level": "info",
        "event": "request",
        "id": ask.id,
        "method": "POST",
        "route": "/v1/echo",
        "status": 200,
        "user": "u1",
        "key": "k1",
        "model": "words",
        "prompt_tokens": 3,
        "generated_tokens": 5,
    }


def test_contents_are_logged_when_asked_for_but_never_a_login(tmp_path: Path) -> None:
    def ask(http: httpx.Client) -> None:
        http.post("/v1/echo", json={"content": "my diary"})
        http.post("/v1/echo", json={"content": "x" * 100_000})
        http.post("/login", data={"key": "the-key-of-somebody"})
        http.post("/v1/echo", files={"file": b"a picture"})

    diary, long, login, *upload = logged(tmp_path / "api.log", ask, log_contents=True)
    assert json.loads(diary["asked"]) == json.loads(diary["answered"]) == {"content": "my diary"}
    assert len(long["asked"]) == len(long["answered"]) == 32 * 2**10
    assert "the-key-of-somebody" not in json.dumps(login)
    assert "a picture" not in json.dumps(upload)


def test_a_defect_is_found_by_the_id_that_the_client_was_told(tmp_path: Path) -> None:
    def ask(http: httpx.Client) -> None:
        ask.answer = http.get("/v1/broken")

    defect, request = logged(tmp_path / "api.log", ask)
    error = ask.answer.json()["error"]
    assert (ask.answer.status_code, error["code"]) == (500, "internal_error")
    assert ask.answer.headers["x-request-id"] == defect["id"] == request["id"]
    assert defect["id"] in error["message"]
    assert "a defect" not in error["message"]
    assert defect["event"] == "defect"
    assert defect["traceback"].startswith("Traceback")
    assert defect["traceback"].endswith("ValueError: a defect")
    assert "traceback" not in request


def test_a_defect_in_the_middle_of_a_stream_is_logged_and_the_connection_cut(tmp_path: Path) -> None:
    def ask(http: httpx.Client) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/v1/breaks")

    defect, *_ = logged(tmp_path / "api.log", ask)
    assert defect["traceback"].endswith("ValueError: a defect in the middle")


def test_who_watches_us_is_not_logged_and_strangers_are(tmp_path: Path) -> None:
    def ask(http: httpx.Client) -> None:
        http.get("/health")
        http.get("/metrics")
        http.get(f"/{'a' * 500}?key={SECRET}")

    (stranger,) = logged(tmp_path / "api.log", ask)
    assert (stranger["route"], stranger["status"], stranger["path"]) == ("other", 404, "/" + "a" * 199)


def test_secrets_are_blotted_out_wherever_they_appear(tmp_path: Path) -> None:
    file = tmp_path / "api.log"
    with logging_to(file, [SECRET]):
        log.info("asked with %s", SECRET, extra={"fields": {"path": f"/x/{SECRET}"}})
        try:
            raise ValueError(f"no such key: {SECRET}")
        except ValueError:
            log.exception("defect")
    assert SECRET not in file.read_text()
    asked, defect = lines(file)
    assert asked["event"] == f"asked with {REDACTED}"
    assert defect["traceback"].endswith(f"ValueError: no such key: {REDACTED}")


def test_a_line_stays_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "api.log"
    with logging_to(file, []):
        log.info('two\nlines and "quotes"', extra={"fields": {"path": "/\u2028é"}})
    (line,) = lines(file)
    assert line["event"] == 'two\nlines and "quotes"'


def test_by_default_it_goes_to_standard_error_and_stops_with_the_block(capfd: pytest.CaptureFixture) -> None:
    before = list(log.handlers)
    with logging_to(None, []):
        log.info("inside")
    log.info("outside")
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["inside"]
    assert log.handlers == before


def test_a_full_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.logs.LIMIT_BYTES", 1000)
    with logging_to(tmp_path / "logs" / "api.log", []):
        for _ in range(100):
            log.info("a line of some length")
    files = list((tmp_path / "logs").iterdir())
    assert len(files) == 4
    assert all(file.stat().st_size <= 1000 for file in files)


def test_a_log_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be written \(.*\): name another with HOMEGROWN_LOG\."),
        logging_to(tmp_path / "file" / "api.log", []),
    ):
        pass
