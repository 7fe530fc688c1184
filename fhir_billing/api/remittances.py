"""A clearinghouse may hand a file over by HTTPS: kept first, worked, answered with what became of it.

No file of a payer is larger than 64 MB; a larger body is refused while it comes.
"""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request

from fhir_billing.api.guard import body_of
from fhir_billing.cycle.arrive import receive
from fhir_billing.domain.errors import SignInNeeded
from fhir_billing.wiring import Wiring

router = APIRouter()
MOST_BYTES = 64 * 1024 * 1024


@router.post("/files/{name}")
async def take(request: Request, name: str) -> dict[str, object]:
    """Bytes of an X12 file; the caller shows the hook secret."""
    import asyncio
    import hmac

    wiring: Wiring = request.app.state.wiring
    secret = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not wiring.settings.hook_secret or not hmac.compare_digest(
        secret.encode(), wiring.settings.hook_secret.encode()
    ):
        raise SignInNeeded("this needs the installation's secret as a bearer token", fix="send Authorization: Bearer …")
    body = await body_of(request, MOST_BYTES)
    now = wiring.clock.now()
    found = await asyncio.to_thread(
        receive, wiring.store, wiring.site, name=name[:120], body=body, at=now, channel="https"
    )
    return asdict(found)
