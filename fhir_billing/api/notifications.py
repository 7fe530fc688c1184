"""A notification is a doorbell: its body is kept and never trusted, the visit is read again from the EHR.

R4 rest-hook: an empty or a full body, POST to the endpoint or PUT to endpoint/Type/id, with a secret in a header.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing.api.errors import outcome
from fhir_billing.api.guard import body_of
from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import SignInNeeded
from fhir_billing.fhir.notification import Rang, read_notification
from fhir_billing.wiring import Wiring

router = APIRouter()
MOST_BYTES = 2_000_000
SECRET_HEADER = "x-hook-secret"  # noqa: S105 - the header's name, not its value


@router.api_route("/hooks/ehr", methods=["POST", "PUT"])
@router.api_route("/hooks/ehr/{kind}/{resource_id}", methods=["POST", "PUT"])
async def rang(request: Request, kind: str = "", resource_id: str = "") -> Response:
    """Somebody rang. A wrong secret is refused and kept in sight once a day; a right one becomes a doorbell."""
    wiring: Wiring = request.app.state.wiring
    body = await body_of(request, MOST_BYTES)
    secret = request.headers.get(SECRET_HEADER, "") or request.headers.get("authorization", "").removeprefix("Bearer ")
    now = wiring.clock.now()
    if not wiring.settings.hook_secret or not hmac.compare_digest(
        secret.encode(), wiring.settings.hook_secret.encode()
    ):
        return _stranger(request, body[:10_000], now)
    heard: Rang = read_notification(request.method, kind, resource_id, body)
    doorbell = {"encounter": heard.encounter, "version": heard.version, "found_by": "hook"}  # empty: poll now
    key = f"{heard.encounter}:{heard.version or now.isoformat()}"
    wiring.store.keep(
        Kind.DOORBELL, key, json.dumps(doorbell).encode(), at=now, channel="hook", name=request.method, who="hook"
    )
    request.app.state.heart.wake()
    return Response(status_code=200)


def _stranger(request: Request, body: bytes, now: datetime) -> Response:
    """The first one of a day is kept in sight; the others of that day are only refused."""
    wiring: Wiring = request.app.state.wiring
    say = "a notification came without the right secret; set it in the EHR's Subscription.channel.header"
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
