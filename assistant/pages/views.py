"""What the page reads about conversations and messages, as JSON. These functions block: not for an event loop."""

from datetime import datetime

from assistant.conversations import ConversationView
from assistant.pages.render import render
from assistant.tables import Conversation, Document, Feedback, Message
from serving.images.store import ImageStore

ABOUT_MESSAGE = ("id", "parent_id", "role", "content", "state", "error", "model", "version", "persona", "usage")
ABOUT_CONVERSATION = ("id", "title", "model", "persona")
ABOUT_DOCUMENT = ("id", "name", "media_type", "bytes", "state", "error")


def shown_summary(conversation: Conversation, running: bool) -> dict:
    """A line of the sidebar."""
    about = {name: getattr(conversation, name) for name in ABOUT_CONVERSATION}
    return about | {"updated_at": _time(conversation.updated_at), "running": running}


def shown_conversation(view: ConversationView, store: ImageStore) -> dict:
    """Everything about a conversation."""
    about = {name: getattr(view.conversation, name) for name in ABOUT_CONVERSATION}
    messages = [shown_message(message, view.feedback.get(message.id), store) for message in view.messages]
    return about | {
        "settings": view.conversation.settings,
        "head_id": view.conversation.head_id,
        "created_at": _time(view.conversation.created_at),
        "updated_at": _time(view.conversation.updated_at),
        "messages": messages,
    }


def shown_message(message: Message, feedback: Feedback | None, store: ImageStore) -> dict:
    """A message with its HTML, and with pictures that can be fetched."""
    return {name: getattr(message, name) for name in ABOUT_MESSAGE} | {
        "html": render(message.content),
        "steps": [shown_step(step, store) for step in message.steps],
        "created_at": _time(message.created_at),
        "finished_at": _time(message.finished_at),
        "feedback": feedback and shown_feedback(feedback),
    }


def shown_step(step: dict, store: ImageStore) -> dict:
    """A tool's step whose pictures have signed URLs."""
    return step | {"pictures": [picture | {"url": store.url(picture["file"])} for picture in step["pictures"]]}


def shown_feedback(feedback: Feedback) -> dict:
    """What somebody thought of an answer."""
    return {"thumb": feedback.thumb, "correction": feedback.correction, "consent": feedback.consent}


def shown_document(document: Document) -> dict:
    """A line of the documents panel."""
    return {name: getattr(document, name) for name in ABOUT_DOCUMENT} | {"created_at": _time(document.created_at)}


def _time(moment: datetime | None) -> str | None:
    return moment and moment.isoformat()
