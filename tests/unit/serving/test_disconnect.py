import asyncio

import pytest
from fastapi import Request
from fastapi.responses import Response

from serving.api.disconnect import while_connected
from serving.api.errors import ApiError


def request(stays: bool) -> Request:
    """One whose body was read, and whose client stays or goes at once."""

    async def receive() -> dict:
        if stays:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def test_the_answer_is_handed_on_while_the_client_stays() -> None:
    async def work() -> Response:
        await asyncio.sleep(0)
        return Response("done")

    assert asyncio.run(while_connected(request(stays=True), work())).body == b"done"


def test_so_is_an_error() -> None:
    async def work() -> Response:
        raise ApiError(429, "Too many.")

    with pytest.raises(ApiError, match="Too many"):
        asyncio.run(while_connected(request(stays=True), work()))


def test_work_for_a_client_that_has_gone_is_cancelled() -> None:
    outcomes = []

    async def work() -> Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    assert asyncio.run(while_connected(request(stays=False), work())).status_code == 499
    assert outcomes == ["cancelled"]
