"""The tables of the assistant: conversations, what was thought of their answers, and the documents of its users."""

from datetime import datetime
from typing import Literal

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

import serving.tables  # noqa: F401 - the foreign keys lead to its users
from serving.database import Base, UtcTime, Words, new_id, utcnow

Role = Literal["user", "assistant"]
State = Literal["done", "running", "stopped", "interrupted", "failed"]


class Conversation(Base):
    """A tree of messages. `head_id` is the leaf whose path is shown; no foreign key, since messages point here."""

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_user_id", "user_id", "updated_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(Words, default="")
    model: Mapped[str] = mapped_column(Words)
    persona: Mapped[str | None] = mapped_column(Words)
    settings: Mapped[dict] = mapped_column(JSON, default=dict)
    head_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)


class Message(Base):
    """What was said once. Messages with one parent are siblings: regenerating and editing make them.

    `steps` are the tool calls of an answer, `version` says which weights gave it.
    """

    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    # Deferrable, so that a backup's rows can be loaded in any order.
    parent_id: Mapped[str | None] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE", deferrable=True, initially="IMMEDIATE"), index=True
    )
    role: Mapped[Role] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Words, default="")
    state: Mapped[State] = mapped_column(String(16), default="done", index=True)
    error: Mapped[str | None] = mapped_column(Words)
    steps: Mapped[list[dict]] = mapped_column(JSON, default=list)
    model: Mapped[str | None] = mapped_column(Words)
    version: Mapped[str | None] = mapped_column(Words)
    persona: Mapped[str | None] = mapped_column(Words)
    usage: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)


class Feedback(Base):
    """What the user thinks of an answer: a thumb (+1, -1, 0 for none) and maybe a better answer.

    `consent`: it may be used for training.
    """

    __tablename__ = "feedback"

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    thumb: Mapped[int]
    correction: Mapped[str | None] = mapped_column(Words)
    consent: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)


class Document(Base):
    """A file that the user gave to be searched; on disk it is named by its SHA-256."""

    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Words)
    media_type: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=utcnow)


class Passage(Base):
    """A piece of a document. `place` tells a reader where it stands, `embedding` is float32s made by `embedder`.

    The migration adds full text: in SQLite the FTS5 table `passage_index` (its rowid is `number`, its column `text`),
    in PostgreSQL the generated column `passages.lexemes` (tsvector in the configuration `english`).
    """

    __tablename__ = "passages"

    # FTS5 points at rows by a number, and only a declared one survives a VACUUM.
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    place: Mapped[str] = mapped_column(Words)
    text: Mapped[str] = mapped_column(Words)
    embedding: Mapped[bytes | None] = mapped_column(LargeBinary)
    embedder: Mapped[str | None] = mapped_column(Words)
