"""The whole assistant without vLLM: `python -m tests.page_server` serves the real page with an obedient model.

What the model says is steered by the question: see tests/obedient_model.py. Pictures come from
tests/unit/serving/picture_worker.py, whose prompts ("noise", "wait", "die", "broken", "too many") steer it as well.
"""

import argparse
import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from assistant.service import extension
from serving.api.app import build_api, guarded
from serving.engine import free_port
from serving.server import HttpServer, claim_port
from serving.settings import read_settings
from tests.obedient_model import MODEL, ObedientModel
from tests.unit.serving.picture_api import engine
from tests.unit.serving.picture_worker import PictureWorker


@dataclass
class PageServer:
    """A running assistant: `http` is a client like the page, `model` and `worker` are its engines."""

    url: str
    app: FastAPI
    http: httpx.Client
    model: ObedientModel
    worker: PictureWorker


@contextlib.contextmanager
def page_server(pause_s: float = 0.0, **settings: object) -> Iterator[PageServer]:
    """Serve from the home that HOMEGROWN_HOME names, a word of the model every `pause_s` seconds."""
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(ObedientModel(pause_s))
        worker = stack.enter_context(PictureWorker())
        chosen = read_settings(**({"port": free_port()} | settings))
        app = build_api(chosen, engine(model.base_url, MODEL), engine(worker.base_url, "images"), [extension])
        server = stack.enter_context(HttpServer(guarded(app, chosen), stack.enter_context(claim_port(chosen))))
        headers = {"X-Homegrown": "1"}
        http = stack.enter_context(httpx.Client(base_url=server.url, headers=headers, timeout=30))
        yield PageServer(server.url, app, http, model, worker)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two words")
    parser.add_argument("--home", type=Path, help="where to keep everything; default: a folder that is deleted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOMEGROWN_HOME"] = str(given.home or folder)
        with page_server(given.pause, port=given.port) as served, contextlib.suppress(KeyboardInterrupt):
            print(f"The page is at {served.url}")
            threading.Event().wait()


if __name__ == "__main__":
    main()
