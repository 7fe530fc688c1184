"""Other apps follow a claim's life by FHIR: our own record, read with a token, and never the chart's."""

from __future__ import annotations

from fastapi import FastAPI

from fhir_billing.api.fhir import capability, exports, routes, subscriptions, tokens
from fhir_billing.api.fhir.answers import Refused, refusal


def mount(app: FastAPI) -> None:
    """Put the FHIR API under /fhir."""
    app.include_router(tokens.router)
    app.include_router(capability.router)
    app.include_router(exports.router)
    app.include_router(subscriptions.router)
    app.include_router(routes.router)
    app.add_exception_handler(Refused, refusal)
