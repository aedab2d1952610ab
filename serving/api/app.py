"""Puts the API together: routes, error shapes, and the guard in front."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from serving.api import completions, errors, health, models
from serving.api.guard import Access, Guard
from serving.api.images import routes as image_routes
from serving.api.images.prompt_check import load_check
from serving.api.upstream import Upstream
from serving.engine import Engine
from serving.home import home
from serving.images.client import ImageClient
from serving.images.store import ImageStore
from serving.settings import ServingSettings

Extension = Callable[[FastAPI], AbstractAsyncContextManager[None]]
"""How a room above adds to the API: it registers its routes and models at once, and is open while we serve."""


def build_api(
    settings: ServingSettings, engine: Engine, images: Engine | None = None, extensions: Sequence[Extension] = ()
) -> FastAPI:
    """The API in front of `engine` and, if pictures are drawn, of the image engine `images`.

    More models are offered with `app.state.models.add_model(name, handler)`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            for resource in (app.state.upstream, app.state.image_client, *added):
                await opened.enter_async_context(resource)
            yield

    app = FastAPI(title="Homegrown", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False
    key = settings.engine_api_key
    app.state.settings = settings
    app.state.own_url = own_url(settings)
    app.state.internal_key = secrets.token_urlsafe(32)
    app.state.max_body_bytes = settings.max_body_bytes
    app.state.upstream = Upstream(engine, key.get_secret_value() if key else None)
    app.state.models = models.Models()
    app.state.models.add_model(engine.model_name, app.state.upstream)
    app.state.images = images
    app.state.image_client = ImageClient(images)
    app.state.image_store = ImageStore(home() / "images", settings.image_url_s)
    app.state.prompt_check = load_check(settings.image_check)
    if images:
        app.state.models.add_model(images.model_name, image_routes.refuse_text)
    errors.install(app)
    for family in (completions, image_routes, models, health):
        app.include_router(family.router)
    added = [extension(app) for extension in extensions]
    return app


def own_url(settings: ServingSettings) -> str:
    """Where this very process reaches its API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def guarded(app: FastAPI, settings: ServingSettings) -> Guard:
    """`app` as it may be shown to the world. The guard is outermost, so even a crash's answer has a request id."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return Guard(app, Access.of(settings.host, key, settings.allowed_hosts))
