"""Looks terms up in the full text of one user's passages: FTS5 in SQLite, tsvector in PostgreSQL."""

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from assistant.documents.terms import wanted

SQLITE = text("""
    SELECT passages.number FROM passage_index
    JOIN passages ON passages.number = passage_index.rowid
    JOIN documents ON documents.id = passages.document_id
    WHERE passage_index MATCH :sought AND documents.user_id = :user_id
    ORDER BY bm25(passage_index), passages.number LIMIT :limit
""")
POSTGRESQL = text("""
    SELECT passages.number FROM passages
    JOIN documents ON documents.id = passages.document_id,
    websearch_to_tsquery('english', :sought) AS sought
    WHERE passages.lexemes @@ sought AND documents.user_id = :user_id
    ORDER BY ts_rank_cd(passages.lexemes, sought) DESC, passages.number LIMIT :limit
""")


async def find_words(session: AsyncSession, user_id: str, question: str, limit: int) -> list[int]:
    """Numbers of the user's passages in which enough of the question's words stand, the best first."""
    groups = wanted(question)
    if not groups:
        return []
    statement, sought = _statement(session.get_bind().dialect.name, groups)
    rows = await session.scalars(statement, {"sought": sought, "user_id": user_id, "limit": limit})
    return list(rows)


def _statement(dialect: str, groups: list[tuple[str, ...]]) -> tuple[TextClause, str]:
    """The query, and what is sought in its language; every term is quoted, so none can be an operator."""
    if dialect == "sqlite":
        together = (" AND ".join(f'"{term}"' for term in group) for group in groups)
        return SQLITE, " OR ".join(f"({group})" for group in together)
    return POSTGRESQL, " or ".join(" ".join(f'"{term}"' for term in group) for group in groups)
