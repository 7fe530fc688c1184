"""Staff sign in with their own identity provider (OpenID Connect); a local demo user exists only in the demo.

The session is a signed cookie that holds a name and a form token, nothing of a patient; signing out ends it for every copy of it.
Spec: OpenID Connect Core 1.0, authorization code flow with PKCE, state and nonce.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.domain.errors import NotAllowed
from smart_app.face import THEMES, Face, Posted, back

DEMO_USER = "Bea Biller"


def routes(face: Face) -> APIRouter:
    """The sign-in pages."""
    router = APIRouter()
    settings = face.settings

    @router.get("/sign-in")
    def sign_in(request: Request, next: str = "/") -> Response:  # noqa: A002 - the parameter's public name
        if request.session.get("who") and not face.acts.is_over(str(request.session.get("sid", ""))):
            return RedirectResponse(back(next), status_code=303)
        return face.render(request, "sign_in.html", bare=True, next=back(next), demo_user=DEMO_USER, said="")

    @router.post("/sign-in/demo")
    def demo(request: Request, form: Posted) -> Response:
        if not settings.demo:
            raise NotAllowed("There is no demo user here", fix="sign in with your identity provider")
        enter(request, DEMO_USER)
        return RedirectResponse(back(form.get("next")), status_code=303)

    @router.post("/sign-out")
    def sign_out(request: Request, form: Posted) -> Response:
        if request.session.get("who"):
            face.seen(request, "signed out")
            face.acts.end_session(str(request.session.get("sid", "")))
        request.session.clear()
        return face.render(
            request,
            "sign_in.html",
            bare=True,
            next="/",
            demo_user=DEMO_USER,
            said="You are signed out. Nothing that you saved is lost.",
        )

    @router.post("/theme")
    def theme(request: Request, form: Posted) -> Response:
        answer = RedirectResponse(back(form.get("next")), status_code=303)
        chosen = str(form.get("theme", ""))
        if chosen in THEMES:
            answer.set_cookie("theme", chosen, max_age=31_536_000, samesite="lax", secure=settings.secure)
        else:
            answer.delete_cookie("theme")
        return answer

    if settings.oidc_issuer:
        _oidc(face, router)
    return router


def enter(request: Request, who: str, subject: str = "") -> None:
    """A new session for this person: what the cookie held before is gone."""
    request.session.clear()
    request.session.update(who=who, subject=subject, sid=secrets.token_urlsafe(18))


def may_enter(person: Mapping[str, Any], allowed: str) -> bool:
    """Whether this person's email, or its domain, is among those who may come in.

    >>> may_enter({"email": "bea@example.com"}, "example.com"), may_enter({"email": "bea@example.org"}, "example.com")
    (True, False)
    """
    wanted = {entry.strip().lower().removeprefix("@") for entry in allowed.split(",") if entry.strip()}
    if not wanted:
        return True
    email = str(person.get("email", "")).lower()
    verified = person.get("email_verified", True) not in (False, "false")
    return verified and "@" in email and (email in wanted or email.rpartition("@")[2] in wanted)


def _oidc(face: Face, router: APIRouter) -> None:
    settings = face.settings
    oauth = OAuth()
    oauth.register(
        name="staff",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        server_metadata_url=settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )

    # authlib speaks to the provider asynchronously; these two are the only endpoints here that do.
    @router.get("/sign-in/oidc")
    async def begin(request: Request, next: str = "/") -> Response:  # noqa: A002
        request.session["next"] = back(next)
        answer: Response = await oauth.staff.authorize_redirect(request, str(request.url_for("oidc_back")))
        return answer

    @router.get("/sign-in/back", name="oidc_back")
    async def end(request: Request) -> Response:
        try:
            token: dict[str, Any] = await oauth.staff.authorize_access_token(request)
        except OAuthError as error:
            raise NotAllowed(f"The identity provider refused: {error.error}", fix="sign in again") from error
        person = token.get("userinfo") or {}
        who = str(person.get("name") or person.get("email") or person.get("sub") or "")
        if not who:
            raise NotAllowed("The identity provider named nobody", fix="ask for the profile or email claim")
        if not may_enter(person, settings.oidc_allowed):
            raise NotAllowed("You may not use this desk", fix="ask whoever runs it to let you in")
        target = back(request.session.get("next"))
        enter(request, who, str(person.get("email") or person.get("sub") or ""))
        return RedirectResponse(target, status_code=303)
