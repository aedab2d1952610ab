"""A server that speaks the image worker's protocol and does what the prompt says, also what a real one seldom does."""

import asyncio
import base64
import io
import json
import os
import threading

from aiohttp import web
from PIL import Image

from serving.images.request import DrawRequest
from tests.unit.eval.threaded_server import ThreadedServer

REFUSALS = {
    "too many": (429, "queue_full", "16 pictures are already asked for", None, {"Retry-After": "7"}),
    "unknown lora": (400, "unknown_lora", "There is no LoRA 'x'", "loras", {}),
    "loading": (503, "loading", "The model is being loaded", None, {"Retry-After": "2"}),
}
NATIVE = (48, 48)


def encoded(colour, size, format="png"):
    """A picture of one colour, or of noise, as the worker sends it."""
    file = io.BytesIO()
    noise = os.urandom(size[0] * size[1] * 3) if colour == "noise" else None
    picture = Image.frombytes("RGB", size, noise) if noise else Image.new("RGB", size, colour)
    picture.save(file, format)
    return base64.b64encode(file.getvalue()).decode()


class PictureWorker(ThreadedServer):
    """Draws one colour per picture, its seed.

    `asked` holds the requests; `drawing` is set when one is drawn, `cancelled` when the client of one hung up.
    """

    def __init__(self):
        super().__init__()
        self.asked, self.drawing, self.cancelled = [], threading.Event(), threading.Event()

    def routes(self):
        return [("POST", "/v1/draw", self.draw)]

    async def draw(self, request):
        wish = DrawRequest.model_validate(await request.json())
        self.asked.append(wish)
        if wish.prompt in REFUSALS:
            status, code, message, param, headers = REFUSALS[wish.prompt]
            error = {"code": code, "message": message, "param": param}
            return web.json_response({"error": error}, status=status, headers=headers)
        if wish.prompt == "garbage":
            return web.Response(status=500, text="Traceback ... /secret/path")
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        try:
            await self._events(request, answer, wish)
        except (ConnectionError, asyncio.CancelledError):
            self.cancelled.set()
            raise
        return answer

    async def _events(self, request, answer, wish):
        async def tell(**event):
            await answer.write(json.dumps(event).encode() + b"\n")

        await tell(type="queued", ahead=2)
        await tell(type="progress", step=1, steps=2)
        self.drawing.set()
        match wish.prompt:
            case "die":
                await answer.write(b'{"type":"pict')
                request.transport.abort()
                return
            case "broken":
                return await tell(
                    type="error", status=500, code="broken_picture", message="The picture came out black."
                )
            case "wait":
                while True:
                    await tell(type="progress", step=1, steps=2)
                    await asyncio.sleep(0.01)
        size = (wish.width, wish.height) if wish.width else NATIVE
        for number in range(wish.partial_images):
            await tell(type="partial", index=0, number=number, image=encoded("grey", NATIVE, wish.format))
        for index in reversed(range(wish.n)):  # in no order
            seed = (wish.seed or 0) + index
            await tell(
                **{"type": "picture", "index": index, "seed": seed, "format": wish.format},
                **{"width": size[0], "height": size[1], "native_size": NATIVE},
                image=encoded("noise" if wish.prompt == "noise" else (seed % 256, 0, 0), size, wish.format),
            )
        await tell(type="done", model="images", sha256="0" * 64)
