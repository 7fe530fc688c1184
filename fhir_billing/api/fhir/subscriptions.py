"""An app begins, reads, changes and ends its own subscriptions, and asks what it missed; another app's are not there for it.

Nothing is sent to an address before it has answered a handshake, and only to a host that the app's file lists.
Spec: Subscriptions R5 Backport 1.1 for R4: create, read, update, delete, `$status`, `$events`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from fhir_billing.api.fhir.answers import Refused, address, answer, json_wanted, one, wiring_of
from fhir_billing.api.fhir.tokens import Access, bearer
from fhir_billing.api.guard import body_of
from fhir_billing.cycle.records import FollowerRecord
from fhir_billing.domain.errors import BillingError, MalformedResource
from fhir_billing.fhir.ours import Resource
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.fhir.topic import TOPIC, Wanted, notification, read_subscription, status_parameters, subscription
from fhir_billing.wiring import Wiring
from fhir_billing.worker.notices import happened, queue_handshake

router = APIRouter(prefix="/fhir/Subscription")
MOST_BYTES: Final = 65_536
MOST: Final = 50
MOST_EVENTS: Final = 500
GONE: Final = "deleted"
Asker = Annotated[Access, Depends(bearer)]


@router.post("")
async def create(request: Request, access: Asker) -> Response:
    """Begin to follow."""
    body = await body_of(request, MOST_BYTES)
    return await run_in_threadpool(_created, request, access, body)


@router.put("/{which}")
async def change(request: Request, which: str, access: Asker) -> Response:
    """Change a subscription, begin it again, or switch it off."""
    body = await body_of(request, MOST_BYTES)
    return await run_in_threadpool(_changed, request, access, which, body)


@router.get("")
def search(request: Request, access: Asker) -> Response:
    """The app's own subscriptions."""
    access.needs("Subscription", "s")
    if set(request.query_params) - {"_format", "status"}:
        raise Refused(400, "not-supported", "Subscription has status")
    json_wanted(request, request.query_params.get("_format", ""))
    wanted = {word for word in request.query_params.get("status", "").split(",") if word}
    with wiring_of(request).store.looking() as book:
        rows = [f for f in book.followers(app=access.app.name) if f.say != GONE and (not wanted or f.status in wanted)]
    base = address(request)
    entries = [
        {"fullUrl": f"{base}/Subscription/{row.id}", "resource": shown(row), "search": {"mode": "match"}}
        for row in rows
    ]
    link = [{"relation": "self", "url": f"{base}/Subscription"}]
    found = {"resourceType": "Bundle", "type": "searchset", "total": len(rows), "link": link}
    return answer({**found, **({"entry": entries} if entries else {})})


@router.api_route("/{which}", methods=["GET", "HEAD"])
def read(request: Request, which: str, access: Asker) -> Response:
    """One subscription."""
    access.needs("Subscription", "r")
    json_wanted(request, request.query_params.get("_format", ""))
    return one(request, shown(_mine(wiring_of(request), access, which)))


@router.delete("/{which}")
def end(request: Request, which: str, access: Asker) -> Response:
    """Follow no more; what was kept to reach the app is forgotten."""
    access.needs("Subscription", "d")
    wiring = wiring_of(request)
    _mine(wiring, access, which)
    with wiring.store.begin() as book:
        follower = book.follower(which)
        if follower is not None:
            book.save_follower(replace(follower, status="off", say=GONE, header=b"", filters={}))
        book.audit(at=wiring.clock.now(), who=f"app:{access.app.name}", what="unfollow", about=f"Subscription/{which}")
    return Response(status_code=204)


@router.get("/{which}/$status")
def status(request: Request, which: str, access: Asker) -> Response:
    """How a subscription is, and how many events there were."""
    access.needs("Subscription", "r")
    follower, base = _mine(wiring_of(request), access, which), address(request)
    found = status_parameters("query-status", base=base, which=which, status=follower.status, events=follower.events)
    entry = {"fullUrl": f"urn:uuid:{uuid4()}", "resource": found, "search": {"mode": "match"}}
    return answer({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [entry]})


@router.get("/{which}/$events")
def events(request: Request, which: str, access: Asker) -> Response:
    """What happened from one number to another, for an app that found a gap."""
    access.needs("Subscription", "r")
    access.needs("Task", "r")
    wiring = wiring_of(request)
    follower = _mine(wiring, access, which)
    said = request.query_params
    if set(said) - {"eventsSinceNumber", "eventsUntilNumber", "content", "_format"}:
        raise Refused(400, "not-supported", "$events has eventsSinceNumber, eventsUntilNumber and content")
    since, until = _number(said, "eventsSinceNumber", 1), _number(said, "eventsUntilNumber", follower.events)
    content = said.get("content", follower.content)
    if content not in {"empty", "id-only", "full-resource"}:
        raise Refused(400, "invalid", "content is empty, id-only or full-resource")
    with wiring.store.looking() as book:
        rows = [row for row in book.notices(which, after=since - 1) if row.number <= until][:MOST_EVENTS]
        found = happened(wiring, book, rows, full=content == "full-resource")
    with wiring.store.begin() as book:
        for row in rows:
            book.audit(at=wiring.clock.now(), who=f"app:{access.app.name}", what="read", about=f"Task/{row.claim}")
    bundle = notification(
        "query-event",
        base=address(request),
        which=which,
        status=follower.status,
        events=follower.events,
        content=content,
        happened=found,
        bundle=str(uuid4()),
    )
    return answer(bundle)


def shown(follower: FollowerRecord) -> Resource:
    """A subscription as its app reads it, with a version."""
    made = subscription(
        which=follower.id,
        status=follower.status,
        endpoint=follower.endpoint,
        filters=follower.filters,
        content=follower.content,
        heartbeat=follower.heartbeat,
        say=follower.say,
    )
    return {**made, "meta": {**made["meta"], "versionId": hashlib.sha256(dumps(made)).hexdigest()[:16]}}


def _created(request: Request, access: Access, body: bytes) -> Response:
    access.needs("Subscription", "c")
    wiring = wiring_of(request)
    wanted = _wanted(access, body)
    now = wiring.clock.now()
    made = FollowerRecord(id=str(uuid4()), app=access.app.name, topic=TOPIC, endpoint="", made_at=now)
    made = _with(wiring, made, wanted)
    with wiring.store.begin() as book:
        if sum(1 for row in book.followers(app=access.app.name) if row.say != GONE) >= MOST:
            raise Refused(409, "too-costly", f"an app has at most {MOST} subscriptions")
        book.save_follower(made)
        if made.status == "requested":
            queue_handshake(book, made, wiring)
        book.audit(at=now, who=f"app:{access.app.name}", what="follow", about=f"Subscription/{made.id}")
    request.app.state.heart.wake()
    return one(request, shown(made), status=201, location=f"{address(request)}/Subscription/{made.id}")


def _changed(request: Request, access: Access, which: str, body: bytes) -> Response:
    access.needs("Subscription", "u")
    wiring = wiring_of(request)
    _mine(wiring, access, which)
    wanted = _wanted(access, body)
    with wiring.store.begin() as book:
        follower = book.follower(which)
        if follower is None or follower.say == GONE:
            raise _nothing()
        changed = _with(wiring, follower, wanted)
        book.save_follower(changed)
        if changed.status == "requested":
            queue_handshake(book, changed, wiring)
        book.audit(at=wiring.clock.now(), who=f"app:{access.app.name}", what="follow", about=f"Subscription/{which}")
    request.app.state.heart.wake()
    return one(request, shown(changed))


def _with(wiring: Wiring, follower: FollowerRecord, wanted: Wanted) -> FollowerRecord:
    sealed = (
        wiring.seal.close(f"follower:{follower.id}", json.dumps(wanted.headers).encode()) if wanted.headers else b""
    )
    return replace(
        follower,
        endpoint=wanted.endpoint,
        filters=wanted.filters,
        header=sealed,
        content=wanted.content,
        heartbeat=wanted.heartbeat,
        status="off" if wanted.off else "requested",
        say="",
    )


def _wanted(access: Access, body: bytes) -> Wanted:
    """What a Subscription asks for, as far as this app may. Raises Refused."""
    access.needs("Task", "r")
    try:
        resource: Any = loads(body)
        wanted = read_subscription(resource)
    except MalformedResource as error:
        raise Refused(400, "invalid", str(error)) from None
    if complaints(resource):
        raise Refused(422, "structure", "this is not a right Subscription of R4")
    try:
        access.app.endpoint(wanted.endpoint)
    except BillingError as error:
        raise Refused(422, "forbidden", str(error)) from None
    return wanted


def _mine(wiring: Wiring, access: Access, which: str) -> FollowerRecord:
    with wiring.store.looking() as book:
        found = [row for row in book.followers(app=access.app.name) if row.id == which]
    if not found:
        raise _nothing()
    if found[0].say == GONE:
        raise Refused(410, "deleted", "this subscription was ended")
    return found[0]


def _number(said: Mapping[str, str], name: str, usual: int) -> int:
    text = said.get(name, "")
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused(400, "invalid", f"{name} is a whole number")
    return int(text)


def _nothing() -> Refused:
    return Refused(404, "not-found", "there is nothing of that id")
