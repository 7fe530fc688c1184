"""Several tenants answer in one process: the Host of a request says whose it is, and nothing else does.

Each has an application of its own with a book, a beat and secrets of its own. A host that nobody has hears nothing but that; a
tenant that cannot start is tried again at its next request, and the others go on.
Spec: RFC 9110 7.4 (421 Misdirected Request).
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from fhir_billing.api.app import create_app
from fhir_billing.api.guard import Guard
from fhir_billing.domain.errors import BillingError
from fhir_billing.logs import log, of_tenant
from fhir_billing.wiring import Installation, with_secret

AGAIN_SECONDS = 15
"""After so long a tenant that could not start is tried again."""
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_log = log("serve")


class House:
    """One tenant's application, made when it can be."""

    def __init__(self, installation: Installation, name: str, *, beats: bool) -> None:
        self._installation, self.name, self._beats = installation, name, beats
        self._lock = asyncio.Lock()
        self._again = 0.0
        self.app: FastAPI | None = None

    async def opened(self, open_houses: AsyncExitStack) -> FastAPI | None:
        """The application, with its beat; None while it cannot start."""
        if self.app is None:
            async with self._lock:
                await self._try(open_houses)
        return self.app

    async def _try(self, open_houses: AsyncExitStack) -> None:
        if self.app is not None or time.monotonic() < self._again:
            return
        try:
            app = await asyncio.to_thread(self._made)
            await open_houses.enter_async_context(app.router.lifespan_context(app))
            self.app = app
        except Exception as error:
            self._again = time.monotonic() + AGAIN_SECONDS
            why = str(error) if isinstance(error, BillingError) else type(error).__name__
            _log.error("a tenant cannot start", tenant=self.name, why=why)

    def _made(self) -> FastAPI:
        wiring = with_secret(self._installation[self.name])
        _ = wiring.store
        return create_app(wiring, beats=self._beats)


class ByHost:
    """An ASGI application of several, one for each host."""

    def __init__(self, installation: Installation, *, beats: bool = True) -> None:
        self._houses = {host: House(installation, name, beats=beats) for host, name in installation.hosts.items()}
        self._open = AsyncExitStack()
        self.state = SimpleNamespace(closing=self)

    def set(self) -> None:
        """The server stops: what streams is told to end."""
        for house in self._houses.values():
            closing = getattr(house.app.state, "closing", None) if house.app else None
            if isinstance(closing, threading.Event):
                closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to whose host it is."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        house = self._houses.get(host_of(scope))
        app = await house.opened(self._open) if house else None
        if app is not None and house is not None:
            with of_tenant(house.name):
                await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await Guard(_nobody() if house is None else _not_yet())(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        for house in self._houses.values():
            await house.opened(self._open)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._open.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def host_of(scope: Scope) -> str:
    """The host that a request is for, without its port; empty when it names none, several, or somebody at a host."""
    said = [value for name, value in scope["headers"] if name == b"host"]
    found = _HOST.fullmatch(said[0].decode("latin-1")) if len(said) == 1 else None
    return found[1].strip("[]").lower().removesuffix(".") if found else ""


def _nobody() -> Response:
    return _outcome(421, "not-found", "nobody answers at this address")


def _not_yet() -> Response:
    return _outcome(503, "transient", "this does not answer now; try again later")


def _outcome(status: int, code: str, say: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": say}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return JSONResponse(body, status_code=status, media_type="application/fhir+json")
