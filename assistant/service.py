"""What the assistant adds to the API: its model, conversations, feedback, documents, and the page."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from assistant import served_model
from assistant.agent import Agent
from assistant.conversations import Conversations
from assistant.documents.store import Documents
from assistant.feedback import FeedbackStore
from assistant.pages import document_routes, page, routes, turn_routes
from assistant.turns import Turns
from serving.home import home


def extension(app: FastAPI) -> AbstractAsyncContextManager[None]:
    """Add routes and the model `assistant` to `app`; what they need is on its state, open as long as it serves."""
    state = app.state
    state.conversations = Conversations(state.database)
    state.feedback = FeedbackStore(state.database)
    state.documents = Documents(state.database, home() / "documents", state.embeddings)
    state.agent = Agent(state, state.documents)
    state.models.add_model(served_model.NAME, served_model.served_model(state.agent))
    state.turns = Turns(state.conversations)
    state.login_page = page.login_page
    for family in (routes, turn_routes, document_routes, page):
        app.include_router(family.router)
    return _open(app)


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    state.agent.warm_up()
    await state.conversations.interrupt_running()
    async with AsyncExitStack() as opened:
        for resource in (state.documents, state.turns):
            await opened.enter_async_context(resource)
        yield
