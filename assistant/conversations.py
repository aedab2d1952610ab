"""Conversations as they are kept: trees of messages, each seen by its user only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Required, TypedDict, Unpack

from sqlalchemy import ColumnElement, CursorResult, bindparam, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from assistant.picture_files import pictures_in, remove_unused
from assistant.tables import Conversation, Feedback, Message, Role, State
from serving.api.errors import ApiError
from serving.database import Database, utcnow
from serving.home import home

# SQLite takes patterns of 50,000 bytes at most.
MAX_SEARCH = 1000


class NotFoundError(ApiError):
    """What does not exist, or belongs to somebody else: nobody can tell the difference."""

    def __init__(self, kind: str) -> None:
        super().__init__(404, f"There is no such {kind}.", code="not_found")


class Changes(TypedDict, total=False):
    """What can be changed about a conversation."""

    title: str
    model: str
    persona: str | None
    settings: dict
    head_id: str


class About(TypedDict, total=False):
    """What a message may have besides its role and content."""

    state: State
    error: str | None
    steps: list[dict]
    model: str | None
    version: str | None
    persona: str | None
    usage: dict | None
    finished_at: datetime | None


class Progress(TypedDict, total=False):
    """How far an answer is; only what it will never have may be left out."""

    content: Required[str]
    steps: Required[list[dict]]
    state: Required[State]
    error: str | None
    usage: dict | None
    finished_at: datetime | None


@dataclass(frozen=True)
class ConversationView:
    """A conversation with all its messages, older before younger, and what was thought of them by message id."""

    conversation: Conversation
    messages: list[Message]
    feedback: dict[str, Feedback]

    def message(self, message_id: str) -> Message:
        """The message with this id. Raises `NotFoundError`."""
        for message in self.messages:
            if message.id == message_id:
                return message
        raise NotFoundError("message")

    def path(self, leaf_id: str | None) -> list[Message]:
        """The messages from the root to this one; none for None. Raises `NotFoundError`."""
        if leaf_id is None:
            return []
        path, others = [self.message(leaf_id)], {message.id: message for message in self.messages}
        while parent := others.pop(path[-1].parent_id, None):
            path.append(parent)
        return path[::-1]

    def newest_leaf(self, message_id: str) -> str:
        """The id of the leaf that is reached from a message by following its youngest children."""
        youngest = {message.parent_id: message.id for message in self.messages}
        while child := youngest.pop(message_id, None):
            message_id = child
        return message_id


class Conversations:
    """The conversations in `database`; the pictures in them are files in `pictures`, by default the image store's."""

    def __init__(self, database: Database, pictures: Path | None = None) -> None:
        self._database, self._pictures = database, pictures or home() / "images"

    async def create(
        self, user_id: str, *, title: str = "", model: str, persona: str | None = None, settings: dict | None = None
    ) -> Conversation:
        """A new conversation in which nothing was said."""
        conversation = Conversation(user_id=user_id, title=title, model=model, persona=persona, settings=settings or {})
        async with self._database.session() as session:
            session.add(conversation)
        return conversation

    async def get(self, user_id: str, conversation_id: str) -> ConversationView:
        """All of a conversation. Raises `NotFoundError`."""
        async with self._database.reading() as session:
            conversation = await _own(session, user_id, conversation_id)
            return await _view(session, conversation)

    async def message(self, user_id: str, message_id: str) -> Message:
        """One message. Raises `NotFoundError`."""
        async with self._database.reading() as session:
            return await own_message(session, user_id, message_id)

    async def change(self, user_id: str, conversation_id: str, **changes: Unpack[Changes]) -> Conversation:
        """Change what is given; a `head_id` within a branch shows its youngest leaf. Raises `NotFoundError`."""
        async with self._database.session() as session:
            conversation = await _own(session, user_id, conversation_id, for_update=True)
            if (head_id := changes.get("head_id")) is not None:
                view = await _view(session, conversation)
                changes["head_id"] = view.newest_leaf(view.message(head_id).id)
            for name, value in changes.items():
                setattr(conversation, name, value)
        return conversation

    async def rename(self, user_id: str, conversation_id: str, title: str) -> Conversation:
        """Give a conversation another title. Raises `NotFoundError`."""
        return await self.change(user_id, conversation_id, title=title)

    async def delete(self, user_id: str, conversation_id: str) -> None:
        """Forget a conversation and the pictures that nothing else shows. Raises `NotFoundError`."""
        async with self._database.session() as session:
            conversation = await _own(session, user_id, conversation_id, for_update=True)
            steps = select(Message.steps).where(Message.conversation_id == conversation_id)
            pictures = pictures_in(await session.scalars(steps))
            await session.delete(conversation)
        await remove_unused(self._database, self._pictures, pictures)

    async def add_message(
        self,
        user_id: str,
        conversation_id: str,
        parent_id: str | None,
        role: Role,
        content: str,
        **about: Unpack[About],
    ) -> Message:
        """Say something after the message `parent_id`, or as a beginning; it is what is shown from now on.

        Raises `NotFoundError` unless both are the user's and belong together.
        """
        message = Message(conversation_id=conversation_id, parent_id=parent_id, role=role, content=content, **about)
        async with self._database.session() as session:
            conversation = await _own(session, user_id, conversation_id, for_update=True)
            if parent_id is not None:
                parent = await session.get(Message, parent_id)
                if parent is None or parent.conversation_id != conversation_id:
                    raise NotFoundError("message")
            session.add(message)
            await session.flush()
            conversation.head_id, conversation.updated_at = message.id, utcnow()
        return message

    async def save(self, progress: Mapping[str, Progress]) -> int:
        """Write down how far answers are, by their ids; how many of them have not been deleted meanwhile.

        All go in one statement, so each must say the same things.
        """
        if not progress:
            return 0
        reached = [{"answer": message_id} | of for message_id, of in progress.items()]
        table = Message.__table__
        async with self._database.session() as session:
            connection = await session.connection()
            saved = await connection.execute(update(table).where(table.c.id == bindparam("answer")), reached)
        return saved.rowcount

    async def interrupt_running(self) -> int:
        """At the start: answers that a server which died was writing are interrupted; how many there were.

        One that another server on this database is writing is running again when that one saves it the next time.
        """
        async with self._database.session() as session:
            interrupted: CursorResult = await session.execute(
                update(Message).where(Message.state == "running").values(state="interrupted", finished_at=utcnow())
            )
        return interrupted.rowcount

    # The last method, since in the class body it hides the built-in.
    async def list(
        self, user_id: str, search: str = "", limit: int = 50, before: str | None = None
    ) -> list[Conversation]:
        """The user's conversations, the one that was spoken in last comes first; those after `before` if it is given.

        With `search` those in whose title or messages these words stand, in capitals or not.
        """
        found = select(Conversation).where(Conversation.user_id == user_id)
        if sought := search.strip()[:MAX_SEARCH]:
            found = found.where(_says(sought))
        newest_first = (Conversation.updated_at.desc(), Conversation.id.desc())
        async with self._database.reading() as session:
            if before is not None:
                last = await _own(session, user_id, before)
                found = found.where(tuple_(Conversation.updated_at, Conversation.id) < (last.updated_at, last.id))
            return list(await session.scalars(found.order_by(*newest_first).limit(limit)))


async def own_message(session: AsyncSession, user_id: str, message_id: str, *, for_update: bool = False) -> Message:
    """A message in one of the user's conversations, locked for an update if wanted. Raises `NotFoundError`."""
    found = select(Message).join(Conversation).where(Message.id == message_id, Conversation.user_id == user_id)
    message = await session.scalar(found.with_for_update(of=Message) if for_update else found)
    if message is None:
        raise NotFoundError("message")
    return message


async def _own(session: AsyncSession, user_id: str, conversation_id: str, *, for_update: bool = False) -> Conversation:
    found = select(Conversation).where(Conversation.id == conversation_id, Conversation.user_id == user_id)
    conversation = await session.scalar(found.with_for_update() if for_update else found)
    if conversation is None:
        raise NotFoundError("conversation")
    return conversation


async def _view(session: AsyncSession, conversation: Conversation) -> ConversationView:
    of_it = Message.conversation_id == conversation.id
    messages = await session.scalars(select(Message).where(of_it).order_by(Message.created_at, Message.id))
    feedback = await session.scalars(select(Feedback).join(Message).where(of_it))
    return ConversationView(conversation, list(messages), {given.message_id: given for given in feedback})


def _says(sought: str) -> ColumnElement[bool]:
    """Whether the words stand in a conversation; what means something in a pattern means itself."""
    said = select(Message.id).where(
        Message.conversation_id == Conversation.id, Message.content.icontains(sought, autoescape=True)
    )
    return or_(Conversation.title.icontains(sought, autoescape=True), said.exists())
