"""Two faces on one application: the desk for billers, one page for clinicians; both only read models and post acts.

Scripts and styles come from here alone (CSP), nothing that names a patient is cached or framed by strangers.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_billing.api.guard import is_clean
from fhir_billing.cycle.views import Acts, Views
from fhir_billing.domain.errors import (
    BillingError,
    NotAllowed,
    NotAMove,
    NotNow,
    NotThere,
    SecretMissing,
    SignInNeeded,
    TheirContract,
)
from fhir_billing.doors import ancestors
from smart_app import gallery, sign_in
from smart_app.clinician import answering, asked_of_me, bills, finder, level, this_visit, visit
from smart_app.clinician import live as clinician_live
from smart_app.desk import (
    books,
    chart_differences,
    claim,
    ehr,
    find,
    live,
    patients,
    quarantine,
    remittances,
    sent,
    today,
    visits,
    worklists,
)
from smart_app.face import HERE, Face, FaceSettings
from smart_app.launch import frames, pages, sandbox_ehr
from smart_app.launch.session import SessionOver

PAGES: Final = (
    today,
    worklists,
    claim,
    remittances,
    quarantine,
    sent,
    patients,
    books,
    visits,
    ehr,
    chart_differences,
    find,
    live,
    visit,
)
LAUNCHED: Final = (this_visit, answering, asked_of_me, bills, clinician_live, finder, level)
_STATUS: Final = ((NotAllowed, 403), (NotThere, 404), (NotAMove, 409), (TheirContract, 422), (NotNow, 503))
_TITLES: Final = {
    400: "This cannot be read",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "There is nothing here",
    409: "It has moved on",
    422: "This cannot be read",
    503: "Not now",
}


def create_app(views: Views, acts: Acts, settings: FaceSettings) -> FastAPI:
    """The faces as an application of their own. Raises SecretMissing when staff sign in and no session secret is set."""
    if settings.oidc_issuer and not settings.session_secret:
        raise SecretMissing(
            "FHIR_BILLING_SESSION_SECRET is not set", fix="set it to 32 random characters, the same for every process"
        )
    face = Face(views, acts, settings)
    app = FastAPI(title="fhir-billing desk", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.face = face
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(sign_in.routes(face))
    app.include_router(pages.routes(face))
    for page in (*PAGES, *LAUNCHED):
        app.include_router(page.routes(face))
    if settings.demo:
        app.include_router(gallery.routes(face))
    if settings.demo and settings.sandbox:
        app.include_router(sandbox_ehr.routes(face, settings.sandbox))
    _errors(app, face)
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.session_secret or secrets.token_urlsafe(32),
        session_cookie="desk",
        max_age=10 * 3600,
        same_site="lax",
        https_only=settings.secure,
    )
    doors = settings.launching.doors.values() if settings.launching else ()
    app.add_middleware(
        Guarded,
        frame_ancestors=settings.frame_ancestors,
        launched_by=ancestors(doors),
        frames="'self'" if settings.sandbox else "'none'",
    )
    return app


def _errors(app: FastAPI, face: Face) -> None:
    def page(request: Request, status: int, say: str, fix: str) -> Response:
        if pages.is_launched(request.url.path):
            return pages.stopped(request, status, say, fix)
        return face.render(
            request,
            "error.html",
            status=status,
            bare=True,
            title=_TITLES.get(status, "Something broke"),
            say=say,
            fix=fix.rstrip("."),
            safe="What was saved is safe." if status >= 500 else "Nothing was changed.",
            reference=secrets.token_hex(4).upper(),
        )

    def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, SignInNeeded):
            wanted = request.url.path if request.method == "GET" else "/"
            return RedirectResponse(f"/sign-in?next={wanted}", status_code=303)
        if isinstance(error, SessionOver):
            return pages.expired(request, error)
        if not isinstance(error, BillingError):
            request.scope.setdefault("session", {})  # the handler of last resort stands outside the session
            return page(request, 500, "This page could not be made.", "try again")
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return page(request, status, error.say, error.fix)

    def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 422
        detail = error.detail if isinstance(error, HTTPException) and status == 400 else ""
        say = "This address leads nowhere." if status == 404 else detail or HTTPStatus(status).phrase
        launched = pages.is_launched(request.url.path)
        return page(request, status, say, pages.AGAIN if launched else "find it by its number")

    app.add_exception_handler(BillingError, refused)
    app.add_exception_handler(Exception, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, http)


class Guarded:
    """Headers that every answer carries."""

    def __init__(self, app: ASGIApp, frame_ancestors: str, launched_by: str, frames: str) -> None:
        self._app = app
        self._desk = _headers(frame_ancestors, opener=b"same-origin", frames=frames)
        # Some EHRs open us in a window of theirs and talk to it: that link is not ours to cut.
        self._launched = _headers(launched_by, opener=b"unsafe-none", frames="'none'")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, with headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        still = scope["path"].startswith("/static/")
        launched = pages.is_launched(scope["path"])
        always = self._launched if launched else self._desk
        shared = frames.shared(scope, still=still, launched=launched)
        keep = b"public, max-age=86400" if still else b"no-store"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(k, v) for k, v in message["headers"] if k.lower() != b"cache-control"]
                message["headers"] = [*headers, *always, *shared, (b"cache-control", keep)]
            await send(message)

        if not is_clean(scope):
            await Response("This address leads nowhere.", status_code=400)(scope, receive, sending)
            return
        if launched and frames.asks_first(scope):
            await Response(status_code=204)(scope, receive, sending)
            return
        await self._app(scope, receive, sending)


def _headers(frame_ancestors: str, *, opener: bytes, frames: str) -> list[tuple[bytes, bytes]]:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        f"frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors {frame_ancestors}"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", opener),
    ]
