"""Without Redis, what all processes share for a short time lies in the book's own database, sealed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from fhir_billing.store.rows import insert, upsert
from fhir_billing.store.sealing import Seal, digest
from fhir_billing.store.tables import vault
from fhir_billing.store.unit_of_work import make_engine, reading, writing


class SqlVault:
    """Implements `cycle.ports.Vault`; threads and processes may share it."""

    def __init__(self, url: str, secret: str, now: Callable[[], datetime]) -> None:
        self._seal, self._now = Seal(secret), now
        self._engine = make_engine(url)

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keep a value for so long; what has ended is swept out on the way."""
        now = self._now()
        row = {
            "key": digest(key),
            "value": self._seal.close(key, value),
            "ends_at": now + timedelta(seconds=seconds),
        }
        with writing(self._engine) as connection:
            connection.execute(delete(vault).where(vault.c.ends_at <= now))
            upsert(connection, vault, row)

    def get(self, key: str) -> bytes | None:
        """The value, when it is there and has not ended."""
        wanted = select(vault.c.value).where(vault.c.key == digest(key), vault.c.ends_at > self._now())
        with reading(self._engine) as connection:
            found = connection.execute(wanted).scalar()
        return None if found is None else self._seal.open(key, found)

    def take(self, key: str) -> bytes | None:
        """The value, once: one statement finds it and removes it."""
        gone = delete(vault).where(vault.c.key == digest(key), vault.c.ends_at > self._now()).returning(vault.c.value)
        with writing(self._engine) as connection:
            found = connection.execute(gone).scalar()
        return None if found is None else self._seal.open(key, found)

    def first(self, key: str, *, seconds: int) -> bool:
        """True for the one whose row it became: a row that has ended counts as none."""
        now, ends = self._now(), self._now() + timedelta(seconds=seconds)
        row = {"key": digest(key), "value": b"", "ends_at": ends}
        with writing(self._engine) as connection:
            made = connection.execute(
                insert(connection, vault)
                .values(row)
                .on_conflict_do_update(index_elements=["key"], set_={"ends_at": ends}, where=vault.c.ends_at <= now)
                .returning(vault.c.key)
            ).scalar()
        return made is not None

    def drop(self, key: str) -> None:
        """Forget it."""
        with writing(self._engine) as connection:
            connection.execute(delete(vault).where(vault.c.key == digest(key)))
