"""An EHR finds the public half of our keys here, so that a new key needs no form to be filled in at the EHR.

Spec: SMART App Launch 2.2, asymmetric client authentication (JWKS URL); RFC 7517.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing.wiring import Wiring

router = APIRouter()


@router.get("/.well-known/jwks.json")
def keys(request: Request) -> Response:
    """The keys of the backend client and of every door that signs in by key; never a private part."""
    wiring: Wiring = request.app.state.wiring
    return JSONResponse(wiring.public_keys, headers={"cache-control": "public, max-age=300"})
