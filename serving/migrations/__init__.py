"""The history of the database's schema: one line of Alembic revisions, each forward from every released one."""
