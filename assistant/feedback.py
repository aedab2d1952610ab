"""What people think of answers: thumbs and better answers, kept beside the messages."""

from assistant.conversations import own_message
from assistant.tables import Feedback
from serving.api.errors import ApiError
from serving.database import Database, utcnow


class FeedbackStore:
    """The feedback in `database`: at most one a message, the last one counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(
        self, user_id: str, message_id: str, thumb: int, correction: str | None = None, consent: bool = False
    ) -> Feedback:
        """Say what is thought of an answer; a thumb of 0 without a better answer takes everything back.

        Raises `NotFoundError`, `ApiError` 400 for a question or another thumb than +1, 0, -1.
        """
        if thumb not in (-1, 0, 1):
            raise ApiError(400, "A thumb is 1, -1, or 0 for none.", param="thumb", code="invalid_value")
        correction = (correction or "").strip() or None
        async with self._database.session() as session:
            message = await own_message(session, user_id, message_id, for_update=True)
            if message.role != "assistant":
                raise ApiError(400, "Only answers can be judged.", code="invalid_value")
            given = await session.get(Feedback, message_id) or Feedback(message_id=message_id, user_id=user_id)
            given.thumb, given.correction, given.consent, given.updated_at = thumb, correction, consent, utcnow()
            if thumb or correction:
                session.add(given)
            elif given in session:
                await session.delete(given)
        return given
