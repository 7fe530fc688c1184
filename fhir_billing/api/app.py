"""One application: the edge for machines, and the two faces for people mounted from `smart_app` by name."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing import __version__
from fhir_billing.api import cds, fhir, health, keys, notifications, remittances
from fhir_billing.api.errors import outcome
from fhir_billing.api.guard import Guard
from fhir_billing.domain.errors import BillingError
from fhir_billing.wiring import Wiring
from fhir_billing.worker.embedded import Heart

FACES = "smart_app.mount"


def create_app(wiring: Wiring, *, beats: bool = True) -> FastAPI:
    """The whole application of one installation; `beats` runs the worker in a thread of this process."""
    heart = Heart(wiring)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if beats:
            heart.start()
        yield
        if beats:
            heart.stop()

    app = FastAPI(
        title="fhir-billing", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.wiring, app.state.heart = wiring, heart
    app.include_router(health.router)
    app.include_router(keys.router)
    app.include_router(notifications.router)
    app.include_router(remittances.router)
    app.include_router(cds.router)
    fhir.mount(app)
    app.add_exception_handler(BillingError, _refuse)
    app.add_middleware(Guard)
    importlib.import_module(FACES).mount(app, wiring, heart.wake)
    return app


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, BillingError)  # noqa: S101 - the handler is registered for this class
    status, body = outcome(error)
    return JSONResponse(body, status_code=status, media_type="application/fhir+json")
