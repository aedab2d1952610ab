"""Puts the API together: routes, error shapes, and the guard in front."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


def build_api(settings: ServingSettings, engine: Engine, images: Engine | None = None) -> FastAPI:
    """The API in front of `engine` and, if pictures are drawn, of the image engine `images`.

    More models are offered with `app.state.models.add_model(name, handler)`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.upstream, app.state.image_client:
            yield

    app = FastAPI(title="Homegrown", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False
    key = settings.engine_api_key
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
    return app


def guarded(app: FastAPI, settings: ServingSettings) -> Guard:
    """`app` as it may be shown to the world. The guard is outermost, so even a crash's answer has a request id."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return Guard(app, Access.of(settings.host, key, settings.allowed_hosts))
