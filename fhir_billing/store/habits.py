"""A clinician's favourites are rows of their own; what they used before is read from their answers."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import delete, select

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.text import loads
from fhir_billing.store.rows import upsert
from fhir_billing.store.store import SqlStore
from fhir_billing.store.tables import asked, favourite

LATEST: Final = 500
"""Answers that are looked at: habits change."""
MOST: Final = 200
"""Codes that one person keeps at hand."""


class SqlHabits:
    """Implements `cycle.ports.Habits`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def favourites(self, who: str, table: str) -> list[str]:
        """Codes that somebody keeps at hand."""
        wanted = select(favourite.c.code).where(favourite.c.who == who, favourite.c.table == table)
        with self._store.reading() as connection:
            return list(connection.execute(wanted.order_by(favourite.c.code).limit(MOST)).scalars())

    def keep(self, who: str, code: str, table: str) -> None:
        """Keep a code at hand."""
        if not who:
            return
        with self._store.begin() as book:
            upsert(book.connection, favourite, {"who": who, "code": code, "table": table})

    def let_go(self, who: str, code: str) -> None:
        """Keep it no longer."""
        with self._store.begin() as book:
            book.connection.execute(delete(favourite).where(favourite.c.who == who, favourite.c.code == code))

    def used(self, *names: str) -> dict[str, int]:
        """Code → how often it was the answer."""
        mine = asked.c.answered_by.in_([name for name in names if name])
        latest = select(asked.c.answer).where(mine).order_by(asked.c.message.desc()).limit(LATEST)
        found: Counter[str] = Counter()
        with self._store.reading() as connection:
            for text in connection.execute(latest).scalars():
                if code := _code(text):
                    found[code] += 1
        return dict(found)


def _code(text: bytes) -> str:
    try:
        said = loads(text) if text else {}
    except MalformedResource:
        return ""
    return str(said.get("code") or "").replace(".", "") if isinstance(said, dict) else ""
