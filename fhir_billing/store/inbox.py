"""What arrives is kept before anything looks at it: the very bytes, once, and every route by which they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Update, bindparam, func, or_, select, update

from fhir_billing.cycle.records import Arrival, Kind, Message, Outcome
from fhir_billing.domain.errors import MessageNotFound, NotAMove
from fhir_billing.store.bodies import Bodies
from fhir_billing.store.locks import WORKING, hold
from fhir_billing.store.rows import add, all_of, as_record, columns, enter, those
from fhir_billing.store.tables import arrival, inbox

_NAMES: Final = [field.name for field in fields(Message)]
DECIDING: Final = tuple(kind for kind in Kind if kind is not Kind.DOORBELL)
_TO_WORK: Final = (inbox.c.outcome == Outcome.WAITING, inbox.c.kind.in_(DECIDING))
NEXT: Final = all_of(Message, inbox).where(*_TO_WORK).order_by(inbox.c.id).limit(1)
ANY: Final = select(inbox.c.id).where(*_TO_WORK).limit(1)
RIPE: Final = (
    all_of(Message, inbox)
    .where(
        inbox.c.outcome == Outcome.WAITING,
        inbox.c.kind == Kind.DOORBELL,
        or_(inbox.c.retry_at.is_(None), inbox.c.retry_at <= bindparam("now")),
    )
    .order_by(inbox.c.id)
)
_OUTCOME: Final = select(inbox.c.outcome).where(inbox.c.id == bindparam("id"))
_TRIED: Final = update(inbox).where(inbox.c.id == bindparam("its_id")).values(attempts=inbox.c.attempts + 1)
_AGAIN: Final = update(inbox).where(inbox.c.id == bindparam("its_id"))
_WORKED: Final = _TRIED.values(
    worked=select(func.coalesce(func.max(inbox.c.worked), 0) + 1).scalar_subquery(), retry_at=None
)


def messages(connection: Connection, bodies: Bodies, which: Select[Any]) -> list[Message]:
    """The messages that a SELECT of the inbox finds."""
    return [_message(row, bodies) for row in connection.execute(which)]


def picked() -> Select[Any]:
    """A SELECT of all that a Message has."""
    return all_of(Message, inbox)


def _message(row: Row[Any], bodies: Bodies) -> Message:
    held: dict[str, Any] = {name: row._mapping[name] for name in _NAMES}  # noqa: SLF001
    return Message(**{**held, "body": bodies.get(held["body"], held["sha256"])})


def by_id(connection: Connection, bodies: Bodies, message_id: int) -> Message | None:
    """The message of this number."""
    return next(iter(messages(connection, bodies, picked().where(inbox.c.id == message_id))), None)


def keep(
    connection: Connection,
    bodies: Bodies,
    kind: Kind,
    key: str,
    body: bytes,
    *,
    at: datetime,
    channel: str,
    name: str,
    who: str,
) -> tuple[Message, bool]:
    """Keep the bytes, or only note that they came again."""
    same = {"kind": kind, "key": key}
    new, message = False, _same(connection, bodies, same)
    if message is None:
        in_row, sha256 = bodies.put(body)
        row = {**same, "at": at, "body": in_row, "size": len(body), "sha256": sha256}
        row |= {"channel": channel, "name": name, "who": who}
        entered = enter(connection, inbox, row, conflict=("kind", "key"), returning=("id", "at")).first()
        new = entered is not None
        message = (
            Message(
                id=entered.id,
                kind=kind,
                key=key,
                at=entered.at,
                body=body,
                sha256=sha256,
                channel=channel,
                name=name,
                who=who,
            )
            if entered
            else _same(connection, bodies, same)
        )
    if message is None:
        raise MessageNotFound("a message went while it was kept", fix="try again")
    add(connection, arrival, {"message": message.id, "at": at, "channel": channel, "name": name})
    return message, new


def _same(connection: Connection, bodies: Bodies, same: Mapping[str, object]) -> Message | None:
    found = connection.execute(those(Message, inbox, ("kind", "key")), same).first()
    return _message(found, bodies) if found else None


def arrivals(connection: Connection, message_id: int) -> list[Arrival]:
    """How and when a message came, first to last."""
    which = select(*columns(arrival, Arrival)).where(arrival.c.message == message_id).order_by(arrival.c.id)
    return [as_record(Arrival, row) for row in connection.execute(which)]


def next_message(connection: Connection, bodies: Bodies) -> Message | None:
    """The oldest that waits to be worked. Whoever asks holds the only right to work until the transaction ends."""
    hold(connection, WORKING)
    return next(iter(messages(connection, bodies, NEXT)), None)


def anything_waits(connection: Connection) -> bool:
    """Whether somebody has a reason to ask for the right to work."""
    return connection.execute(ANY).first() is not None


def settle(
    connection: Connection,
    message_id: int,
    outcome: Outcome,
    *,
    say: str,
    claims: Sequence[str],
    findings: Sequence[Mapping[str, object]],
) -> None:
    """Worked: it gets the next place in the order of work."""
    _change(connection, _WORKED, message_id, outcome=outcome, say=say, claims=tuple(claims), findings=tuple(findings))


def failed(connection: Connection, message_id: int, say: str, findings: Sequence[Mapping[str, object]]) -> None:
    """It could not be worked: kept whole, shown, and out of the way of the next one."""
    _change(connection, _TRIED, message_id, outcome=Outcome.QUARANTINED, say=say, findings=tuple(findings))


def retry(connection: Connection, message_id: int) -> None:
    """A quarantined message waits again. Raises NotAMove for any other."""
    outcome = connection.execute(_OUTCOME, {"id": message_id}).scalar()
    if outcome is not None and outcome is not Outcome.QUARANTINED:
        raise NotAMove(f"message {message_id} is {outcome}, not quarantined", fix="nothing needs to be done")
    _change(connection, _AGAIN, message_id, outcome=Outcome.WAITING, retry_at=None)


def doorbells(connection: Connection, bodies: Bodies, now: datetime) -> list[Message]:
    """Doorbells that may be answered now, oldest first."""
    return [_message(row, bodies) for row in connection.execute(RIPE, {"now": now})]


def waits(connection: Connection, message_id: int) -> bool:
    """Whether a message still waits: another worker may have had it."""
    return connection.execute(_OUTCOME, {"id": message_id}).scalar() == Outcome.WAITING


def doorbells_by(connection: Connection, bodies: Bodies, channel: str) -> list[Message]:
    """All doorbells of one channel, oldest first."""
    of_channel = (inbox.c.kind == Kind.DOORBELL, inbox.c.channel == channel)
    return messages(connection, bodies, picked().where(*of_channel).order_by(inbox.c.id))


def doorbell_done(connection: Connection, message_id: int, say: str) -> None:
    """Answered."""
    _change(connection, _TRIED, message_id, outcome=Outcome.DONE, say=say, retry_at=None)


def doorbell_later(connection: Connection, message_id: int, say: str, retry_at: datetime) -> None:
    """Nobody answered at the other end: ring again then."""
    _change(connection, _TRIED, message_id, say=say, retry_at=retry_at)


class Answering:
    """Implements `cycle.ports.Answering` on a connection whose transaction somebody else ends."""

    def __init__(self, connection: Connection, bodies: Bodies) -> None:
        self._connection, self._bodies = connection, bodies

    def keep(self, key: str, body: bytes, *, at: datetime, name: str, who: str) -> bool:
        return keep(self._connection, self._bodies, Kind.VISIT, key, body, at=at, channel="ehr", name=name, who=who)[1]

    def done(self, message_id: int, say: str) -> None:
        doorbell_done(self._connection, message_id, say)


def _change(connection: Connection, how: Update, message_id: int, **values: Any) -> None:
    found = connection.execute(how, {"its_id": message_id, **values})
    if not found.rowcount:
        raise MessageNotFound(f"there is no message {message_id}", fix="look at the quarantine page")
