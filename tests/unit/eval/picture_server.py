"""A real HTTP server that draws as OpenAI's does, as well or as badly as a test wants it."""

import asyncio
import base64
import io
import json

from aiohttp import web
from PIL import Image

from tests.unit.eval.threaded_server import ThreadedServer


class PictureServer(ThreadedServer):
    """Answers with what `paint(prompt, seed)` gives: a picture, bytes, or an HTTP status to fail with.

    `refuses` are parameters that it does not know. `log` keeps every request body.
    """

    def __init__(self, paint, refuses=()):
        super().__init__()
        self.paint, self.refuses, self.log = paint, set(refuses), []
        self.in_flight = self.most_in_flight = 0

    def routes(self):
        return ("GET", "/v1/models", self._list_models), ("POST", "/v1/images/generations", self._draw)

    async def _list_models(self, request):
        return web.json_response({"object": "list", "data": [{"id": "painter"}]})

    async def _draw(self, request):
        body = await request.json()
        self.log.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.001)
        self.in_flight -= 1
        if unknown := sorted(self.refuses & body.keys()):
            return web.json_response({"error": {"message": f"Unknown parameter: '{unknown[0]}'."}}, status=400)
        made = self.paint(body["prompt"], body.get("seed", 0))
        if isinstance(made, int):
            return web.json_response({"error": {"message": "no paint left"}}, status=made)
        if isinstance(made, dict):
            return web.Response(body=json.dumps(made).encode(), content_type="application/json")
        data = made if isinstance(made, bytes) else encoded(made)
        return web.json_response({"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]})


def encoded(picture, form="png"):
    """The bytes of a picture, an array or Pillow's."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, form)
    return file.getvalue()
