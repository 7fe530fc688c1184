"""A notification is a doorbell: its body is never trusted, the visit is read again from the EHR.

R4 rest-hook: an empty or a full body, POST to the endpoint or PUT to endpoint/Type/id. Topic subscriptions: a Bundle, kept whole.
Who rings proves it by a secret in a header, or by a signature of the body made with that secret; where the site names the
addresses that may ring, no other may.
Spec: FHIR R4 Subscription.channel (rest-hook); Subscriptions R5 Backport 1.1 (handshake, heartbeat, event-notification).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import datetime
from ipaddress import ip_network
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing.api.errors import outcome
from fhir_billing.api.guard import body_of
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import SignInNeeded, SiteConfig
from fhir_billing.fhir.notification import Notification, Says, read_notification
from fhir_billing.settings import Settings
from fhir_billing.wiring import Wiring
from fhir_billing.worker import mllp, ringing, topics

router = APIRouter()
MOST_BYTES: Final = 2_000_000
SECRET_HEADER: Final = "x-hook-secret"  # noqa: S105 - the header's name, not its value
SIGNATURES: Final = ("x-hub-signature-256", "x-signature")
"""Headers that carry an HMAC-SHA256 of the body."""


@router.api_route("/hooks/ehr", methods=["POST", "PUT"])
@router.api_route("/hooks/ehr/{kind}/{resource_id}", methods=["POST", "PUT"])
async def rang(request: Request, kind: str = "", resource_id: str = "") -> Response:
    """Somebody rang. A stranger is refused and kept in sight once a day; whoever proves itself rings."""
    wiring: Wiring = request.app.state.wiring
    body = await body_of(request, MOST_BYTES)
    if not _is_known(request, body, wiring.settings):
        return await asyncio.to_thread(_stranger, request, body[:10_000], wiring.clock.now())
    said = read_notification(request.method, kind, resource_id, body)
    if await asyncio.to_thread(_keep, wiring, said, body):
        request.app.state.heart.wake()
    return Response(status_code=200)


def _keep(wiring: Wiring, said: Notification, body: bytes) -> bool:
    """A topic's notification is kept as it came; any other rings for each visit that it names. Whether something waits now."""
    if said.says is not Says.PLAIN:
        return topics.keep(wiring, said, body, channel="topic")
    rang = [Sighting(encounter=one.encounter, version=one.version) for one in said.rang]
    ringing.all_rang(wiring, rang, found_by="hook")
    return True


def _is_known(request: Request, body: bytes, settings: Settings) -> bool:
    """Whether who rings has proved it, and rings from where it may."""
    secret, allow = settings.hook_secret, settings.hook_allow
    if allow and not _is_allowed(request.client.host if request.client else "", allow):
        return False
    if not secret:
        return bool(allow)
    sent = request.headers.get(SECRET_HEADER, "") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if sent:
        return hmac.compare_digest(sent.encode(), secret.encode())
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    said = (request.headers.get(name, "").removeprefix("sha256=").strip().lower() for name in SIGNATURES)
    return bool(body) and any(hmac.compare_digest(one.encode(), right.encode()) for one in said if one)


def _is_allowed(host: str, allow: str) -> bool:
    try:
        among = tuple(ip_network(part.strip(), strict=False) for part in allow.split(",") if part.strip())
        return mllp.allowed(host, among)
    except ValueError:
        raise SiteConfig(
            "FHIR_BILLING_HOOK_ALLOW names no networks", fix="write networks such as 10.1.2.0/24"
        ) from None


def _stranger(request: Request, body: bytes, now: datetime) -> Response:
    """The first one of a day is kept in sight; the others of that day are only refused."""
    wiring: Wiring = request.app.state.wiring
    say = "a notification came without the right secret or signature, or from an address that may not ring; set the secret in the EHR's Subscription.channel.header"
    key = f"stranger:{now.date().isoformat()}"
    if getattr(request.app.state, "stranger", "") != key:
        request.app.state.stranger = key
        kept, new = wiring.store.keep(Kind.DOORBELL, key, body, at=now, channel="hook", who="stranger")
        if new:
            wiring.store.failed(
                kept.id,
                say,
                [{"key": "wrong-secret", "say": say, "at": SECRET_HEADER, "fix": "", "severity": "blocking"}],
            )
    status, out = outcome(SignInNeeded(say))
    return JSONResponse(out, status_code=status)
