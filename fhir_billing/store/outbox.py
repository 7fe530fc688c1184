"""What must leave is stored before it is sent, and sent again as the same bytes until somebody says that it arrived.

A relay borrows what it sends for half a minute. If it is killed, what it had borrowed is free again: at once when this
machine can see that the process is gone, else when the time is over.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, select, update

from fhir_billing.cycle.records import OutboxRecord
from fhir_billing.store.bodies import Bodies
from fhir_billing.store.locks import RELAYING, hold
from fhir_billing.store.rows import enter
from fhir_billing.store.tables import outbox

LEASE: Final = timedelta(seconds=30)
LATEST_WINS: Final = frozenset({"write-back", "hl7"})
"""Kinds of parcel of which a claim's latest says all that the ones before it said."""
NOTICE: Final = "notice"
"""Notices to one follower leave in their order."""
WAITING, SENT, OVERTAKEN = "waiting", "sent", "overtaken"
_VISIT: Final = re.compile(r"C-[0-9A-Z]{12}")
_TOKEN: Final = uuid4().hex[:12]
_NAMES: Final = [field.name for field in fields(OutboxRecord)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What decides whether a parcel may leave now."""

    id: int
    kind: str
    claim: str
    retry_at: datetime | None = None
    locked_until: datetime | None = None
    locked_by: str = ""
    destination: str = ""


def queue(
    connection: Connection,
    bodies: Bodies,
    *,
    kind: str,
    key: str,
    destination: str,
    body: bytes,
    at: datetime,
    claim: str,
) -> None:
    """Put it in, once by its key."""
    in_row, sha256 = bodies.put(body)
    row = {
        "kind": kind, "key": key, "destination": destination, "body": in_row, "size": len(body), "sha256": sha256,
        "claim": claim, "status": WAITING, "created_at": at,
    }  # fmt: skip
    enter(connection, outbox, row, conflict=("key",))


def anything_waits(connection: Connection) -> bool:
    """Whether a relay has a reason to look closer."""
    return connection.execute(select(outbox.c.id).where(outbox.c.status == WAITING).limit(1)).first() is not None


def due(connection: Connection, bodies: Bodies, now: datetime, limit: int) -> list[OutboxRecord]:
    """Borrow what must leave now, oldest first."""
    hold(connection, RELAYING)
    names = [field.name for field in fields(Parcel)]
    waiting = select(*(outbox.c[name] for name in names)).where(outbox.c.status == WAITING).order_by(outbox.c.id)
    parcels = [Parcel(**row._mapping) for row in connection.execute(waiting)]  # noqa: SLF001
    chosen, overtaken = choose(parcels, now, is_gone)
    for old, newer in overtaken.items():
        connection.execute(
            update(outbox)
            .where(outbox.c.id == old)
            .values(status=OVERTAKEN, say=f"parcel {newer} says more, and went instead")
        )
    chosen = chosen[:limit]
    connection.execute(
        update(outbox).where(outbox.c.id.in_(chosen)).values(locked_until=now + LEASE, locked_by=this_relay())
    )
    rows = connection.execute(
        select(*(outbox.c[name] for name in _NAMES), outbox.c.sha256)
        .where(outbox.c.id.in_(chosen))
        .order_by(outbox.c.id)
    )
    return [_parcel(row._mapping, bodies) for row in rows]  # noqa: SLF001


def _parcel(row: Any, bodies: Bodies) -> OutboxRecord:
    return OutboxRecord(**{**{name: row[name] for name in _NAMES}, "body": bodies.get(row["body"], row["sha256"])})


def choose(parcels: Iterable[Parcel], now: datetime, gone: Callable[[str], bool]) -> tuple[list[int], dict[int, int]]:
    """The parcels that may leave now, and which are overtaken by which.

    A claim's latest write-back says all that the ones before it said, by FHIR or by HL7 v2. While one is on its way the next
    of its visit waits, so that the chart never ends with the older of two. No notice goes to a follower while one is on its way, or while the
    first of them waits to be tried again.
    """
    waiting = list(parcels)
    lent = {p.id for p in waiting if p.locked_until and p.locked_until > now and not gone(p.locked_by)}
    told = [p for p in waiting if p.kind in LATEST_WINS and p.claim]
    latest = {(p.kind, p.claim): p.id for p in told}
    on_its_way = {(p.kind, visit_of(p.claim)) for p in told if p.id in lent}
    overtaken = {p.id: last for p in told if p.id != (last := latest[p.kind, p.claim]) and p.id not in lent}
    first: dict[str, Parcel] = {}
    for p in waiting:
        if p.kind == NOTICE:
            first.setdefault(p.destination, p)
    stopped = {to for to, p in first.items() if p.retry_at and p.retry_at > now}
    stopped |= {p.destination for p in waiting if p.kind == NOTICE and p.id in lent}
    chosen = [
        p.id
        for p in waiting
        if p.id not in lent
        and p.id not in overtaken
        and (p.destination not in stopped if p.kind == NOTICE else p.retry_at is None or p.retry_at <= now)
        and (p.kind, visit_of(p.claim)) not in on_its_way
    ]
    return chosen, overtaken


def visit_of(claim: str) -> str:
    """What the claims of one visit have in common: they may share a document in the chart, so they are told one by one."""
    found = _VISIT.match(claim)
    return found[0] if found else claim


def is_latest(connection: Connection, outbox_id: int) -> bool:
    """Whether this parcel is still ours to send, and no later one of its claim waits."""
    row = connection.execute(
        select(outbox.c.kind, outbox.c.claim, outbox.c.status, outbox.c.locked_by).where(outbox.c.id == outbox_id)
    ).first()
    if row is None or row.status != WAITING or row.locked_by not in {"", this_relay()}:
        return False
    later = select(outbox.c.id).where(
        outbox.c.status == WAITING, outbox.c.kind == row.kind, outbox.c.claim == row.claim, outbox.c.id > outbox_id
    )
    return not row.claim or connection.execute(later.limit(1)).first() is None


def left(connection: Connection, outbox_id: int, receipt: str, at: datetime) -> None:
    """It has left."""
    _change(connection, outbox_id, status=SENT, sent_at=at, receipt=receipt, say="", retry_at=None)


def stays(connection: Connection, outbox_id: int, say: str, retry_at: datetime) -> None:
    """It has not left. What another relay has borrowed in the meantime stays borrowed."""
    _change(connection, outbox_id, outbox.c.locked_by.in_(["", this_relay()]), say=say, retry_at=retry_at)


def _change(connection: Connection, outbox_id: int, *which: ColumnElement[bool], **values: Any) -> None:
    connection.execute(
        update(outbox)
        .where(outbox.c.id == outbox_id, *which)
        .values(**values, attempts=outbox.c.attempts + 1, locked_until=None, locked_by="")
    )


@cache
def _machine() -> str:
    """This machine and, on Linux, the room of process numbers in it: two containers may share a name but never that."""
    room = ""
    with suppress(OSError):
        room = str(Path("/proc/self/ns/pid").readlink())
    return f"{platform.node()}|{room}"


def this_relay() -> str:
    """Who borrows: machine, process, and a word that the next process with this number will not know."""
    return f"{_machine()}|{os.getpid()}|{_TOKEN}"


def is_gone(holder: str) -> bool:
    """Whether the borrower is surely dead; one on another machine is never sure."""
    machine, _, mine = holder.rpartition("|")[0].rpartition("|")
    if machine != _machine() or not mine.isdigit():
        return False
    if int(mine) == os.getpid():
        return not holder.endswith(_TOKEN)
    try:
        os.kill(int(mine), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
