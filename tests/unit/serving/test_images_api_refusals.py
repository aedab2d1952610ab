"""Requests for pictures that are refused before any worker hears of them."""

import logging
import socket
import struct
import zlib

import pytest

from tests.unit.serving.picture_api import EDITS, GENERATIONS, PNG, PictureApi, refusal


def test_other_models_are_unknown(served: PictureApi) -> None:
    for name in ("dall-e-3", "words", "Images"):
        refusal(served.generate(model=name), 404, "model_not_found", "model")
    assert served.worker.asked == []


def test_what_is_no_request(served: PictureApi) -> None:
    json_type = {"content-type": "application/json"}
    refusal(served.http.post(GENERATIONS, content=b"{", headers=json_type), 400, "invalid_json")
    refusal(served.http.post(GENERATIONS, content=b"[" * 100_000, headers=json_type), 400, "invalid_json")
    refusal(served.http.post(GENERATIONS, content=b" " * (5 * 2**20), headers=json_type), 413, "request_too_large")
    assert served.http.post(GENERATIONS, data={"prompt": "a cat"}).status_code == 415
    assert served.http.post(EDITS, json={"prompt": "a cat"}).status_code == 415
    assert served.http.get(GENERATIONS).status_code == 405
    assert served.http.post("/v1/images/variations", json={}).json()["error"]["code"] == "unknown_url"
    assert served.worker.asked == []


def png_of(width: int, height: int) -> bytes:
    """A PNG that says that it is that large, and hardly is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


UPLOADS = {
    "only a mask": ({"mask": PNG}, "missing_required_parameter", "image"),
    "empty": ({"image": b""}, "invalid_image_file", "image"),
    "no picture": ({"image": b"GIF89a not one"}, "invalid_image_file", "image"),
    "SVG": ({"image": b"<svg onload='alert(1)'/>"}, "invalid_image_file", "image"),
    "damaged mask": ({"image": PNG, "mask": PNG[:20]}, "invalid_mask_file", "mask"),
    "bomb": ({"image": png_of(60_000, 60_000)}, "invalid_image_file", "image"),
    "small bomb": ({"image": png_of(10_000, 10_000)}, "invalid_image_file", "image"),
    "no pixels": ({"image": png_of(0, 5)}, "invalid_image_file", "image"),
    "another file": ({"image": PNG, "photo": PNG}, "unknown_parameter", "photo"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", UPLOADS)
def test_uploads_that_are_refused(served: PictureApi, case: str) -> None:
    files, code, param = UPLOADS[case]
    refusal(served.edit({name: ("x.png", data) for name, data in files.items()}), 400, code, param)
    assert served.worker.asked == []


def test_several_pictures_are_too_many(served: PictureApi) -> None:
    answer = served.edit([("image[]", ("a.png", PNG)), ("image[]", ("b.png", PNG))])
    assert "2" in refusal(answer, 400, "invalid_value", "image")


def test_forms_that_are_refused(served: PictureApi) -> None:
    refusal(served.edit({"image": PNG}, n="many"), 400, "invalid_value", "n")
    refusal(served.edit({"image": PNG}, cfg="3"), 400, "unknown_parameter", "cfg")
    refusal(served.edit({"image": b" " * (33 * 2**20)}), 413, "request_too_large")
    for content_type, content in [
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"--y\r\nContent-Disposition: form-data\r\n\r\n--y--"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nhi\r\n--x--"),
        ("multipart/form-data; boundary=x", b"\0" * 1000),
    ]:
        answer = served.http.post(EDITS, content=content, headers={"content-type": content_type})
        refusal(answer, 400, "invalid_form")
    many = {f"field{number}": "x" for number in range(100)}
    refusal(served.edit({"image": PNG}, **many), 400, "invalid_form")


def upload_head(served: PictureApi, length: int) -> socket.socket:
    """A connection that has begun to send a form of `length` bytes."""
    connection = socket.create_connection(served.url.removeprefix("http://").split(":"), timeout=10)
    connection.sendall(
        f"POST {EDITS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {length}\r\n\r\n--x\r\n".encode()
    )
    return connection


def test_an_upload_that_never_ends(served: PictureApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.api.body.UPLOAD_S", 0.1)
    with upload_head(served, 1000) as connection:
        assert connection.makefile("rb").readline().split()[1] == b"408"


def test_an_upload_that_breaks_off_is_no_defect(served: PictureApi, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("uvicorn.error")  # it keeps its records to itself
    log.addHandler(caplog.handler)
    upload_head(served, 1000).close()
    assert served.generate().status_code == 200
    log.removeHandler(caplog.handler)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
