"""Some things are done by one at a time: working a message, chaining the audit trail, handing out parcels, migrating.

SQLite's writing transaction is such a lock already. On Postgres each has an advisory lock that ends with the transaction.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

WORKING: Final = 8_370_001
RELAYING: Final = 8_370_002
AUDITING: Final = 8_370_003
MIGRATION: Final = 8_370_004


def hold(connection: Connection, lock: int) -> None:
    """Wait for the lock and hold it until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(lock)))
