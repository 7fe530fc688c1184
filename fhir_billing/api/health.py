"""Health says whether the store answers and how much waits, in numbers only."""

from __future__ import annotations

from fastapi import APIRouter, Request

from fhir_billing import __version__

router = APIRouter()


@router.get("/health")
def health(request: Request) -> dict[str, object]:
    """Alive, with the number of waiting messages and parcels."""
    store = request.app.state.wiring.store
    return {"status": "ok", "version": __version__, **store.waiting_counts()}
