"""Puts the API together: routes, error shapes, and the guard in front."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from serving.api import completions, embeddings, errors, health, metrics, models, people, promotions
from serving.api.images import routes as image_routes
from serving.api.images.prompt_check import load_check
from serving.api.openapi import document
from serving.api.responses import routes as response_routes
from serving.api.traffic import Traffic
from serving.api.upstream import Upstream
from serving.database import Database, database_url, migrate
from serving.embedding_engine import make_embedding_engine
from serving.engine import Engine
from serving.home import home
from serving.images.client import ImageClient
from serving.images.store import ImageStore
from serving.metrics import Metrics
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
            opened.push_async_callback(app.state.database.close)
            for resource in (app.state.ledger, app.state.upstream, app.state.image_client, *added):
                await opened.enter_async_context(resource)
            yield

    app = FastAPI(title="Homegrown", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False
    key = settings.engine_api_key
    app.state.settings = settings
    app.state.own_url = own_url(settings)
    app.state.internal_key = secrets.token_urlsafe(32)
    app.state.max_body_bytes = settings.max_body_bytes
    app.state.metrics = Metrics({"text": engine} | ({"images": images} if images else {}))
    app.state.changeover = None
    app.state.database = open_database(settings)
    app.state.upstream = Upstream(engine, key.get_secret_value() if key else None)
    app.state.models = models.Models()
    app.state.models.set_engine(engine, app.state.upstream)
    names = [engine.model_name, *engine.also_called]
    app.state.embeddings = make_embedding_engine(settings.embedding_model, names)
    if app.state.embeddings:
        app.state.models.add_model(app.state.embeddings.model_name, embeddings.refuse_text)
    app.state.images = images
    app.state.image_client = ImageClient(images)
    app.state.image_store = ImageStore(home() / "images", settings.image_url_s)
    app.state.prompt_check = load_check(settings.image_check)
    if images:
        app.state.models.add_model(images.model_name, image_routes.refuse_text)
    errors.install(app)
    people.install(app, settings)
    texts = (document, completions, response_routes, embeddings)
    for family in (*texts, image_routes, models, promotions, health, metrics):
        app.include_router(family.router)
    added = [extension(app) for extension in extensions]
    return app


def exchange_engine(app: FastAPI, engine: Engine) -> None:
    """Have new requests answered by `engine`; those that have begun stay with the one before."""
    app.state.upstream.exchange(engine)
    app.state.metrics.engines["text"] = engine
    app.state.models.set_engine(engine, app.state.upstream)


def own_url(settings: ServingSettings) -> str:
    """Where this very process reaches its API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def open_database(settings: ServingSettings) -> Database:
    """The database, with the newest schema. Raises `DatabaseError`."""
    url = database_url(settings)
    migrate(url)
    return Database(url)


def guarded(app: FastAPI, settings: ServingSettings) -> Traffic:
    """`app` as it may be shown to the world. Traffic is outermost, so even a refusal is logged and has an id."""
    return Traffic(people.guard(app, settings), app.state.metrics, app.state.internal_key, settings.log_contents)
