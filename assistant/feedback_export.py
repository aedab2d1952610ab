"""Turns feedback into rows to train on, in TRL's shapes: preference pairs, KTO rows and SFT rows.

Rows have no system prompt and no list of tools, since the recipe that trains on them says which; unless a voice is
given, which says what the model heard.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import select

from assistant.conversations import Conversations, ConversationView
from assistant.history import as_openai
from assistant.personas import Voice
from assistant.scrubbing import Scrubber
from assistant.served_model import NAME as ASSISTANT
from assistant.tables import Conversation, Feedback, Message
from assistant.turn_marks import tamed_message
from serving.database import Database

Messages = list[dict]
MESSAGES = ("prompt", "chosen", "rejected", "completion", "messages")
"""The parts of a row that are messages."""


@dataclass(frozen=True)
class Choice:
    """Which feedback counts: only with consent, only given since a moment; `scrub` replaces personal data.

    With the `voice` of the model that answered, rows begin with its system prompt and have the "tools" it was offered.
    """

    only_consented: bool = False
    since: datetime | None = None
    scrub: bool = False
    voice: Voice | None = None


@dataclass(frozen=True)
class Judged:
    """A finished answer and what was thought of it. `before` is what led to it, `tools` the calls it made.

    `in_good_company`: no earlier answer on its path was disliked. `offered`: what rows say of the tools it could call.
    """

    parent_id: str | None
    before: Messages
    tools: Messages
    content: str
    thumb: int
    correction: str | None
    new: bool
    in_good_company: bool
    offered: dict[str, list[dict]]

    @property
    def original(self) -> Messages:
        return [*self.tools, _says(self.content)]

    @property
    def corrected(self) -> Messages:
        return [*self.tools, _says(self.correction)]


async def export_rows(database: Database, kind: str, choice: Choice) -> AsyncIterator[dict]:
    """The rows of one of `KINDS`, each once, in the order of the conversations."""
    seen: set[str] = set()
    async for judged in _judged_conversations(database, choice):
        for row in KINDS[kind](judged):
            row = Scrubber().scrub(_numbered(row)) if choice.scrub else _numbered(row)
            key = json.dumps(row, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield row


def preference_rows(judged: list[Judged]) -> Iterator[dict]:
    """A better answer against the original, and liked against disliked answers to one question."""
    for answer in judged:
        if answer.correction and answer.new and answer.correction != answer.content:
            prompt = [*answer.before, *answer.tools]
            answers = {"chosen": [_says(answer.correction)], "rejected": [_says(answer.content)]}
            yield {"prompt": prompt, **answers, **answer.offered}
    for liked, disliked in product(judged, judged):
        compared = (liked.thumb, disliked.thumb) == (1, -1) and liked.parent_id == disliked.parent_id
        if compared and (liked.new or disliked.new) and liked.content != disliked.content:
            answers = {"chosen": liked.original, "rejected": disliked.original}
            yield {"prompt": liked.before, **answers, **liked.offered}


def kto_rows(judged: list[Judged]) -> Iterator[dict]:
    """Answers with their thumbs; a better answer is a good one."""
    for answer in judged:
        if answer.new and answer.thumb:
            yield {"prompt": answer.before, "completion": answer.original, "label": answer.thumb == 1, **answer.offered}
        if answer.new and answer.correction:
            yield {"prompt": answer.before, "completion": answer.corrected, "label": True, **answer.offered}


def sft_rows(judged: list[Judged]) -> Iterator[dict]:
    """Conversations that end in a better answer or in a liked one; no answer in them was disliked."""
    for answer in judged:
        if answer.new and answer.in_good_company and (answer.correction or answer.thumb == 1):
            said = answer.corrected if answer.correction else answer.original
            yield {"messages": [*answer.before, *said], **answer.offered}


KINDS: dict[str, Callable[[list[Judged]], Iterator[dict]]] = {
    "preference": preference_rows,
    "kto": kto_rows,
    "sft": sft_rows,
}


async def _judged_conversations(database: Database, choice: Choice) -> AsyncIterator[list[Judged]]:
    """Of each conversation with feedback the answers that were judged."""
    with_feedback = select(Feedback.message_id).join(Message, Message.id == Feedback.message_id)
    judged = with_feedback.where(Message.conversation_id == Conversation.id).exists()
    async with database.reading() as session:
        owned = select(Conversation.id, Conversation.user_id).where(judged).order_by(Conversation.id)
        found = list(await session.execute(owned))
    for conversation_id, user_id in found:
        yield _judged(await Conversations(database).get(user_id, conversation_id), choice)


def _judged(view: ConversationView, choice: Choice) -> list[Judged]:
    found = []
    for message in view.messages:
        feedback = view.feedback.get(message.id)
        if feedback is None or (choice.only_consented and not feedback.consent):
            continue
        # What was cut off says nothing about how an answer should end, and what has no words says nothing.
        if message.state == "done" and message.content.strip():
            found.append(_judged_answer(view, message, feedback, choice))
    return found


def _judged_answer(view: ConversationView, message: Message, feedback: Feedback, choice: Choice) -> Judged:
    earlier = view.path(message.parent_id)
    thumbs = [view.feedback[one.id].thumb for one in earlier if one.id in view.feedback]
    *tools, _ = as_openai([message])
    before, offered = as_openai(earlier), {}
    if choice.voice:
        before.insert(0, {"role": "system", "content": choice.voice.system(message.persona, None)})
        takes_tools = message.model == ASSISTANT and view.conversation.settings.get("tools") is not False
        offered = {"tools": list(choice.voice.tools) if takes_tools else []}
    return Judged(
        parent_id=message.parent_id,
        before=before,
        tools=tools,
        content=message.content,
        thumb=feedback.thumb,
        correction=feedback.correction,
        new=choice.since is None or feedback.updated_at >= choice.since,
        in_good_company=-1 not in thumbs,
        offered=offered,
    )


def _says(content: str | None) -> dict:
    return {"role": "assistant", "content": content}


def _numbered(row: dict) -> dict:
    """The row as a model may read it: turn marks in it tamed, calls counted from 1, their arguments as objects."""
    names: dict[str, str] = {}

    def plain(message: dict) -> dict:
        message = tamed_message(message)
        if calls := message.get("tool_calls"):
            return message | {"content": message["content"] or "", "tool_calls": [plain_call(call) for call in calls]}
        if "tool_call_id" in message:
            return message | {"tool_call_id": names[message["tool_call_id"]]}
        return message

    def plain_call(call: dict) -> dict:
        names[call["id"]] = f"call_{len(names) + 1}"
        function = call["function"] | {"arguments": json.loads(call["function"]["arguments"])}
        return call | {"id": names[call["id"]], "function": function}

    return {name: [plain(m) for m in value] if name in MESSAGES else value for name, value in row.items()}
