"""The ledger and the audit trail are only ever added to, whoever holds the keyboard: triggers of the database see to it.

They are made by the first migration. A later migration that copies a table (alembic's batch mode on SQLite) drops them
without a word; so they are counted, by a test after each migration and by `verify` in a running installation.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

SQLITE: Final = {
    *(f"{table}_no_{act}" for table in ("journal", "posting", "audit") for act in ("update", "delete", "replace")),
    "posting_not_late",
    "journal_balanced",
}
POSTGRES: Final = {
    *(f"{table}_no_{act}" for table in ("journal", "posting", "audit") for act in ("change", "truncate")),
    "posting_not_late",
    "posting_balanced",
    "journal_balanced",
}


def missing(connection: Connection) -> set[str]:
    """The guards that are not there, or (Postgres) that a session could switch off."""
    if connection.dialect.name == "postgresql":
        found = text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'")
        return POSTGRES - set(connection.execute(found).scalars())
    return SQLITE - set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars())
