"""The store makes Books, keeps what arrives before anything looks at it, and knows what must leave.

SQLite when it is embedded, Postgres by one setting; nothing outside this room asks which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from hashlib import sha256

from sqlalchemy import Connection, func, or_, select
from sqlalchemy.exc import DatabaseError

from fhir_billing.cycle.ports import Known
from fhir_billing.cycle.records import Kind, Message, OutboxRecord, Outcome
from fhir_billing.domain.errors import ImpossibleState, StoreMissing
from fhir_billing.domain.money import Money, show
from fhir_billing.store import audit, guards, inbox, ledger, outbox, tables
from fhir_billing.store.bodies import bodies_of
from fhir_billing.store.book import SqlBook
from fhir_billing.store.inbox import Answering
from fhir_billing.store.rows import upsert
from fhir_billing.store.schema import check_reachable, check_schema, migrate, missing_from
from fhir_billing.store.unit_of_work import make_engine, normal_url, reading, writing, writing_soon

__all__ = ["SqlStore", "StoreMissing", "migrate", "open_store"]


def open_store(url: str) -> SqlStore:
    """Open a store that is there and at the newest schema; raises StoreMissing with the way to get one."""
    check_reachable(url)
    store = SqlStore(url)
    try:
        with store.reading() as connection:
            check_schema(url, connection)
    except DatabaseError as error:
        store.close()
        raise missing_from(url, error) from error
    except StoreMissing:
        store.close()
        raise
    return store


class SqlStore:
    """Implements `cycle.ports.Store`; may be shared by threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = make_engine(url)
        self._bodies = bodies_of(normal_url(url))

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[SqlBook]:
        """A transaction: commits at the end of the block, rolls back on an exception."""
        with writing(self._engine) as connection:
            book = SqlBook(connection, self._bodies)
            yield book
            book.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for pages that only look; it waits for no writer and stops none."""
        with reading(self._engine) as connection:
            yield connection

    @contextmanager
    def looking(self) -> Iterator[SqlBook]:
        """A book that is only read; it waits for no writer and stops none."""
        with reading(self._engine) as connection:
            yield SqlBook(connection, self._bodies)

    # inbox

    def keep(
        self, kind: Kind, key: str, body: bytes, *, at: datetime, channel: str = "", name: str = "", who: str = ""
    ) -> tuple[Message, bool]:
        """Keep raw bytes, in a transaction of its own; False when they were known."""
        with writing(self._engine) as connection:
            return inbox.keep(connection, self._bodies, kind, key, body, at=at, channel=channel, name=name, who=who)

    def anything_waits(self) -> bool:
        """Whether a message waits to be worked; asking takes no lock."""
        with self.reading() as connection:
            return inbox.anything_waits(connection)

    @contextmanager
    def answering(self) -> Iterator[Answering]:
        """One transaction in which what was read is kept and the doorbells that asked for it end; a power cut rings them again."""
        with writing_soon(self._engine) as connection:
            yield Answering(connection, self._bodies)

    def keep_all(self, bells: Sequence[tuple[str, bytes]], *, at: datetime, channel: str, who: str) -> None:
        """Keep many doorbells, by key, in one transaction; those that are known are noted all the same."""
        with writing(self._engine) as connection:
            for key, body in bells:
                inbox.keep(connection, self._bodies, Kind.DOORBELL, key, body, at=at, channel=channel, name="", who=who)

    def doorbells(self, now: datetime) -> list[Message]:
        """Doorbells that wait and may be tried now, oldest first."""
        with self.reading() as connection:
            return inbox.doorbells(connection, self._bodies, now)

    def waits(self, message_id: int) -> bool:
        """Whether a message still waits to be worked."""
        with self.reading() as connection:
            return inbox.waits(connection, message_id)

    def doorbells_by(self, channel: str) -> list[Message]:
        """Every doorbell that came by a channel, worked or not."""
        with self.reading() as connection:
            return inbox.doorbells_by(connection, self._bodies, channel)

    def doorbell_done(self, message_id: int, say: str) -> None:
        """Answered."""
        with writing(self._engine) as connection:
            inbox.doorbell_done(connection, message_id, say)

    def doorbell_later(self, message_id: int, say: str, retry_at: datetime) -> None:
        """To be tried again then."""
        with writing(self._engine) as connection:
            inbox.doorbell_later(connection, message_id, say, retry_at)

    def failed(self, message_id: int, say: str, findings: Sequence[Mapping[str, object]] = ()) -> None:
        """Working the message raised: it is quarantined whole."""
        with writing(self._engine) as connection:
            inbox.failed(connection, message_id, say, findings)

    def retry(self, message_id: int) -> None:
        """A person wants a quarantined message worked again."""
        with writing(self._engine) as connection:
            inbox.retry(connection, message_id)

    def worked_messages(self) -> Iterator[Message]:
        """Every message that was worked, in the order of work; one body in memory at a time."""
        with self.reading() as connection:
            numbers = connection.execute(
                select(tables.inbox.c.id).where(tables.inbox.c.worked.is_not(None)).order_by(tables.inbox.c.worked)
            )
            found = list(numbers.scalars())
        for number in found:
            with self.reading() as connection:
                message = inbox.by_id(connection, self._bodies, number)
            if message is not None:
                yield message

    # outbox

    def due(self, now: datetime, limit: int = 50) -> list[OutboxRecord]:
        """What must leave now, lent to this process for half a minute."""
        with self.reading() as connection:
            if not outbox.anything_waits(connection):
                return []
        with writing(self._engine) as connection:
            return outbox.due(connection, self._bodies, now, limit)

    def is_latest(self, outbox_id: int) -> bool:
        """Whether a borrowed parcel is still ours to send, and no later one of its claim waits."""
        with self.reading() as connection:
            return outbox.is_latest(connection, outbox_id)

    def left(self, outbox_id: int, receipt: str, at: datetime) -> None:
        """It has left."""
        with writing(self._engine) as connection:
            outbox.left(connection, outbox_id, receipt, at)

    def stays(self, outbox_id: int, say: str, retry_at: datetime) -> None:
        """It has not left yet; try again then."""
        with writing(self._engine) as connection:
            outbox.stays(connection, outbox_id, say, retry_at)

    # the chart and we

    def known(self, since: date, until: date) -> Iterator[Known]:
        """The visits of these days, and those without a day, as the book has them."""
        row = tables.visit.c
        day = row.served_on
        read = tables.inbox.c
        which = (
            select(row.encounter, row.version, row.outcome, read.at)
            .outerjoin(tables.inbox, read.id == row.message)
            .where(or_(day.is_(None), day.between(since, until)))
        )
        with self.reading() as connection:
            for encounter, version, outcome, read_at in connection.execute(which):
                yield Known(encounter=encounter, version=version, outcome=outcome, read_at=read_at)

    # cursors

    def cursor(self, name: str) -> str:
        """How far something was read; empty at the beginning."""
        with self.reading() as connection:
            found = connection.execute(select(tables.cursor.c.value).where(tables.cursor.c.name == name)).scalar()
        return found or ""

    def set_cursor(self, name: str, value: str) -> None:
        """Remember how far it was read."""
        with writing(self._engine) as connection:
            upsert(connection, tables.cursor, {"name": name, "value": value})

    # looking after it

    def waiting_counts(self) -> dict[str, int]:
        """How much waits, in numbers only."""
        box = tables.inbox.c
        waits = box.outcome == Outcome.WAITING
        with self.reading() as connection:

            def count(*conditions: object) -> int:
                return int(connection.execute(select(func.count()).where(*conditions)).scalar_one())  # type: ignore[arg-type]

            return {
                "doorbells": count(waits, box.kind == Kind.DOORBELL),
                "messages": count(waits, box.kind != Kind.DOORBELL),
                "quarantined": count(box.outcome == Outcome.QUARANTINED),
                "parcels": count(tables.outbox.c.status == outbox.WAITING),
            }

    def verify_audit(self) -> audit.Broken | None:
        """The first line of the audit trail that is not what was written; None when the chain holds."""
        with self.reading() as connection:
            return audit.first_broken(connection)

    def verify_bodies(self) -> list[str]:
        """Messages whose bytes are gone or are not the bytes that arrived, a sentence each."""
        with self.reading() as connection:
            numbers = list(connection.execute(select(tables.inbox.c.id).order_by(tables.inbox.c.id)).scalars())
        return [say for number in numbers if (say := self._body_fault(number))]

    def _body_fault(self, number: int) -> str:
        try:
            with self.reading() as connection:
                message = inbox.by_id(connection, self._bodies, number)
        except ImpossibleState as error:
            return f"message {number}: {error.say}"
        if message is None or sha256(message.body).hexdigest() == message.sha256:
            return ""
        return f"message {number}: its bytes are not the ones that arrived"

    def missing_guards(self) -> list[str]:
        """Triggers that should keep ledger and audit as they are, and are not there."""
        with self.reading() as connection:
            return sorted(guards.missing(connection))

    def verify(self) -> list[str]:
        """Everything that can be checked about the book, a sentence for each fault; empty when it is sound."""
        broken = self.verify_audit()
        return [
            *(f"the guard {name} is gone" for name in self.missing_guards()),
            *([f"audit trail: {broken.say}"] if broken else []),
            *(f"journal {key} is off by {show(amount)}" for key, amount in self.verify_ledger().items()),
            *self.verify_bodies(),
        ]

    def verify_ledger(self) -> dict[str, Money]:
        """Journals that do not sum to zero, with what they are off by: empty."""
        with self.reading() as connection:
            return ledger.off_balance(connection)

    def fingerprint(self) -> dict[str, tuple[tuple[str, str, str, Money], ...]]:
        """Journal key → its postings in a fixed order."""
        with self.reading() as connection:
            return ledger.fingerprint(connection)
