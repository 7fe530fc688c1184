"""Followers are told in the order of the numbers: the next event waits until the one before it was taken.

A subscription begins with a handshake. What is not taken is tried again, ever later, for a day; then the subscription is in
error, and its app may ask for what it missed, or begin again and be sent it. An event may arrive twice, by its number it is
known. An app that lost its file, its right or its host is told nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import uuid4

from fhir_billing.apps import may
from fhir_billing.cycle.notices import KIND
from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.published import Published
from fhir_billing.cycle.records import FollowerRecord, NoticeRecord, OutboxRecord
from fhir_billing.domain.errors import BillingError, NotAllowed, NotNow
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.fhir.topic import Happened, notification
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker.outward import NotTaken, post

GIVES_UP: Final = timedelta(hours=24)
NO_HANDSHAKE: Final = timedelta(minutes=10)
_log = log("worker")


class NotItsTurn(NotNow):
    """An earlier event of this subscription must be taken first."""

    code = "not-its-turn"


def queue_handshake(book: Book, follower: FollowerRecord, wiring: Wiring) -> None:
    """Begin: the follower's address is asked whether it is one."""
    body = dumps({"follower": follower.id, "number": 0})
    key = f"notice:{follower.id}:handshake:{uuid4()}"
    book.queue(kind=KIND, key=key, destination=follower.id, body=body, at=wiring.clock.now())


def notice(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Tell one follower of one event, or shake hands. Raises NotNow to be asked again."""
    said = loads(parcel.body)
    number = int(said["number"])
    follower = _follower(wiring, str(said["follower"]))
    if follower is None or follower.status not in {"requested", "active"}:
        return "nobody follows any more"
    age = wiring.clock.now() - (parcel.created_at or wiring.clock.now())
    try:
        return _handshake(wiring, follower) if number == 0 else _event(wiring, follower, number)
    except NotItsTurn:
        raise
    except NotAllowed as error:
        return _ends(wiring, follower, error)
    except NotTaken as error:
        if error.status == 410 or age > (GIVES_UP if number else NO_HANDSHAKE):
            return _ends(wiring, follower, error)
        raise


def heartbeats(wiring: Wiring) -> int:
    """Tell followers who asked for it that nothing happened."""
    if wiring.settings.apps is None:
        return 0
    now = wiring.clock.now()
    with wiring.store.looking() as book:
        late = [one.id for one in book.followers() if _is_late(one, now.timestamp())]
    for which in late:
        with wiring.store.begin() as book:
            follower = book.follower(which)
            if follower is None or not _is_late(follower, now.timestamp()):
                continue
            book.save_follower(replace(follower, said_at=now))
        try:
            _send(wiring, follower, "heartbeat", ())
        except BillingError as error:
            _log.warning("a heartbeat was not taken", follower=which, code=error.code)
    return 0


def _is_late(follower: FollowerRecord, now: float) -> bool:
    last = follower.said_at or follower.made_at
    waited = now - last.timestamp() if last else 0
    return follower.status == "active" and follower.heartbeat > 0 and waited >= follower.heartbeat


def _follower(wiring: Wiring, which: str) -> FollowerRecord | None:
    with wiring.store.looking() as book:
        return next((one for one in book.followers() if one.id == which), None)


def _handshake(wiring: Wiring, follower: FollowerRecord) -> str:
    if follower.status != "requested":
        return "it is active already"
    _send(wiring, replace(follower, status="active"), "handshake", ())
    now = wiring.clock.now()
    told = _told(wiring, follower.id)
    with wiring.store.begin() as book:
        again = book.follower(follower.id)
        if again is None or again.status != "requested" or again.endpoint != follower.endpoint:
            return "it was changed meanwhile"
        book.save_follower(replace(again, status="active", said_at=now, say=""))
        for missed in book.notices(follower.id, after=told):
            key = f"notice:{follower.id}:{missed.number}:{uuid4()}"
            body = dumps({"follower": follower.id, "number": missed.number})
            book.queue(kind=KIND, key=key, destination=follower.id, body=body, at=now, claim=missed.claim)
    return "it answered, and is active"


def _event(wiring: Wiring, follower: FollowerRecord, number: int) -> str:
    told = _told(wiring, follower.id)
    if number <= told:
        return "it was told already"
    if number > told + 1 or follower.status == "requested":
        raise NotItsTurn("an earlier notification of this subscription goes first")
    with wiring.store.looking() as book:
        rows = [row for row in book.notices(follower.id, after=number - 1) if row.number == number]
        found = happened(wiring, book, rows, full=follower.content == "full-resource")
    status = _send(wiring, follower, "event-notification", found)
    wiring.store.set_cursor(_cursor(follower.id), str(number))
    with wiring.store.begin() as book:
        again = book.follower(follower.id)
        if again is not None:
            book.save_follower(replace(again, said_at=wiring.clock.now(), say=""))
    return f"event {number} was taken ({status})"


def happened(wiring: Wiring, book: Book, rows: Iterable[NoticeRecord], *, full: bool) -> list[Happened]:
    """Events as they are told; each Task as it was when that happened."""
    published = Published(book, wiring.site, wiring.settings.ehr_url)
    found = []
    for row in rows:
        visit = published.claim(row.claim) if full else None
        resource = None
        if visit is not None:
            resource = published.task(replace(visit, state=State(row.state), entered_at=row.at), row.at)
        at = row.at.isoformat(timespec="milliseconds")
        found.append(Happened(number=row.number, at=at, task=f"Task/{row.claim}", resource=resource))
    return found


def _send(wiring: Wiring, follower: FollowerRecord, kind: str, events: Iterable[Happened]) -> int:
    app = wiring.apps.get(follower.app)
    if app is None or not may(app.rights, "Task", "r"):
        raise NotAllowed("its app may not follow any more")
    _, inside = app.endpoint(follower.endpoint)
    opened = wiring.seal.open(f"follower:{follower.id}", follower.header) if follower.header else b"[]"
    if opened is None:
        raise NotAllowed("its header was sealed with another secret", fix="send the Subscription again")
    headers = [(str(name), str(value)) for name, value in json.loads(opened)]
    body = notification(
        kind,
        base=f"{wiring.settings.public_url.rstrip('/')}/fhir",
        which=follower.id,
        status=follower.status,
        events=follower.events,
        content=follower.content,
        happened=events,
        bundle=str(uuid4()),
    )
    return post(follower.endpoint, dumps(body), headers, inside=inside)


def _ends(wiring: Wiring, follower: FollowerRecord, error: BillingError) -> str:
    """The subscription is in error: nothing more is sent until its app begins again."""
    with wiring.store.begin() as book:
        again = book.follower(follower.id)
        if again is not None and again.status in {"requested", "active"} and again.endpoint == follower.endpoint:
            book.save_follower(replace(again, status="error", say=error.say))
    _log.warning("a subscription is in error", follower=follower.id, code=error.code)
    return f"the subscription is in error: {error.say}"


def _told(wiring: Wiring, follower: str) -> int:
    return int(wiring.store.cursor(_cursor(follower)) or "0")


def _cursor(follower: str) -> str:
    return f"told:{follower}"
