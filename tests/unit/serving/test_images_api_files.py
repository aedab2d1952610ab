"""The files that pictures are handed out as, and their signed URLs."""

import json
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from tests.unit.serving.picture_api import GENERATIONS, PictureApi, refusal

KEY = "a-key-of-some-length"


def test_urls_are_the_only_way_to_files_and_need_no_key(start: Callable[..., PictureApi]) -> None:
    served = start(api_key=KEY)
    bearer = {"Authorization": f"Bearer {KEY}"}
    assert served.generate().status_code == 401
    answer = served.http.post(GENERATIONS, json={"prompt": "a cat"}, headers=bearer)
    url = answer.json()["data"][0]["url"]
    assert "cat" not in url
    assert httpx.get(url).status_code == httpx.get(url, headers=bearer).status_code == 200
    assert httpx.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 200
    assert httpx.head(url).headers["content-length"] == str(len(httpx.get(url).content))
    bare = url.partition("?")[0]
    for tampered in (bare, bare + "?expires=9999999999", url[:-1], url.replace("expires=", "expires=1")):
        refusal(httpx.get(tampered), 403, "invalid_signature")
        refusal(httpx.get(tampered, headers=bearer), 403, "invalid_signature")
    for path in ("secret", "..%2fsecret", "%2e%2e/secret", "a" * 64, ""):
        refusal(httpx.get(f"{served.url}/v1/images/files/{path}"), 401, "invalid_api_key")


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2fsecret", "secret", "%00", f"{'a' * 64}.png%00"]
)
def test_no_other_file_is_found(served: PictureApi, path: str) -> None:
    served.generate()
    with socket.create_connection(served.url.removeprefix("http://").split(":")) as raw:
        # As it is: httpx would tidy the path up.
        raw.sendall(f"GET /v1/images/files/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status, _, rest = raw.makefile("rb").read().partition(b"\r\n")
    assert status.split()[1] in (b"403", b"404")
    assert set(json.loads(rest.partition(b"\r\n\r\n")[2])["error"]) == {"message", "type", "param", "code"}


def test_urls_expire_and_files_may_be_gone(start: Callable[..., PictureApi], monkeypatch: pytest.MonkeyPatch) -> None:
    served = start(image_url_s=100)
    url = served.generate().json()["data"][0]["url"]
    assert 90 < int(httpx.get(url).headers["cache-control"].partition("max-age=")[2].partition(",")[0]) <= 100
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("serving.images.store.time.time", lambda: now + 200)
        assert "expired" in refusal(httpx.get(url), 403, "invalid_signature")
    (file,) = (served.home / "images").glob("*.png")
    file.unlink()
    refusal(httpx.get(url), 404, "image_not_found")


def test_urls_are_those_of_the_host_that_was_asked(served: PictureApi) -> None:
    port = served.url.rpartition(":")[2]
    answer = served.http.post(GENERATIONS, json={"prompt": "a cat"}, headers={"Host": f"localhost:{port}"})
    assert answer.json()["data"][0]["url"].startswith(f"http://localhost:{port}/v1/images/files/")


def test_a_full_disk(served: PictureApi) -> None:
    (served.home / "images").write_text("in the way")
    answer = served.generate(n=2)
    assert "cannot be kept" in refusal(answer, 507, "insufficient_storage")
    assert answer.headers["x-should-retry"] == "false"
    assert served.generate(response_format="b64_json").status_code == 200
    (served.home / "images").unlink()
    assert served.generate(n=2).status_code == 200
