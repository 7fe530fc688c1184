"""Who looked at or changed what: each line carries the hash of the one before it, so that a change to the past shows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from fhir_billing.store.locks import AUDITING, hold
from fhir_billing.store.tables import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the trail, before it is chained."""

    at: datetime
    who: str
    what: str
    about: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first line that is not what was written."""

    line: int
    say: str


def chained(previous: str, number: int, line: Line) -> str:
    """The hash of a line: over the hash before it and everything that the line says."""
    at = line.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [previous, number, at, line.who, line.what, line.about, line.why]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def append(connection: Connection, lines: list[Line]) -> None:
    """Add lines at the end of the chain; the last thing that a transaction does, so that nobody waits long for the lock."""
    if not lines:
        return
    hold(connection, AUDITING)
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    number, previous = (last.id, last.hash) if last else (0, "")
    rows: list[dict[str, Any]] = []
    for line in lines:
        number += 1
        digest = chained(previous, number, line)
        rows.append(
            {"id": number, "at": line.at, "who": line.who, "what": line.what, "about": line.about, "why": line.why,
             "previous": previous, "hash": digest}
        )  # fmt: skip
        previous = digest
    connection.execute(audit.insert(), rows)


def first_broken(connection: Connection) -> Broken | None:
    """Walk the whole chain; None when it holds."""
    previous = ""
    for number, row in enumerate(connection.execute(select(audit).order_by(audit.c.id)), start=1):
        if row.id != number:
            return Broken(line=number, say=f"line {number} is gone")
        if row.previous != previous:
            return Broken(line=number, say=f"line {number} does not follow the line before it")
        line = Line(at=row.at, who=row.who, what=row.what, about=row.about, why=row.why)
        if chained(previous, number, line) != row.hash:
            return Broken(line=number, say=f"line {number} was changed after it was written")
        previous = row.hash
    return None
