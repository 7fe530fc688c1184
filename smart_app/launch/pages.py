"""An EHR opens a chart here: sent to its sign-in, back with a code, and into the visit, without a password of ours.

The pending sign-in is found by its `state` and taken once: a cookie may differ between the two ends in a frame. Where the
browser keeps cookies in the frame they bind both ends as well, and the visit opens at once; where it does not, the page's
script fetches the session's token with a ticket that works once. No token stands in an address.
Spec: SMART App Launch 2.2; RFC 9207; RFC 9700 (state, single use).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from fhir_billing.domain.errors import BillingError, NotAllowed, NotThere
from fhir_billing.doors import Door, Going, Granted, entered
from fhir_billing.fhir.text import dumps, loads
from smart_app.face import Face
from smart_app.launch.session import (
    Here,
    Kept,
    Launching,
    Said,
    SessionOver,
    cookie_of,
    drop,
    kept_of,
    launching_of,
    may,
    open_session,
    over,
    seen,
)

LOGIN_SECONDS: Final = 600
TICKET_SECONDS: Final = 60
AGAIN: Final = "open this page again from the chart"
REFUSED: Final = {
    "access_denied": ("You may not open this page", "The EHR did not allow it.", "allow it when the EHR asks, or ask whoever looks after the EHR"),
    "invalid_scope": ("The EHR does not give what this page needs", "It refuses the permissions that were asked for.", "the EHR's registration of this page lacks permissions"),
    "unauthorized_client": ("The EHR does not know this page", "It is not registered there, or not for this.", "correct `client_id` in the launch file, or the registration"),
    "login_required": ("You are not signed in", "The EHR wants you to sign in first.", "sign in to the EHR and open the chart again"),
    "temporarily_unavailable": ("Not now", "The EHR cannot sign anybody in just now.", "try again in a minute"),
}  # fmt: skip


def is_launched(path: str) -> bool:
    """Whether an address belongs to a launched chart, and so may stand in an EHR's frame."""
    return path == "/launch" or path.startswith(("/launch/", "/v/"))


def stopped(request: Request, status: int, say: str, fix: str, title: str = "") -> Response:
    """A page that says what happened and what to do; never a stack, and nothing of the desk."""
    face: Face = request.app.state.face
    titles = {401: "Open this page again", 403: "This is not allowed", 404: "There is nothing here", 503: "Not now"}
    return face.framed(
        request,
        "launch/stopped.html",
        status=status,
        title=title or titles.get(status, "This did not work" if status < 500 else "Something broke"),
        say=say if say.endswith((".", "!")) else f"{say}.",
        fix=fix.rstrip("."),
    )


def expired(request: Request, error: SessionOver) -> Response:
    """The session is over: the chart is one click away in the EHR."""
    return stopped(request, HTTPStatus.UNAUTHORIZED, error.say, error.fix)


def routes(face: Face) -> APIRouter:
    """The way in, and the way out."""
    router = APIRouter()

    @router.get("/launch")
    def launch(request: Request, iss: str = "", launch: str = "") -> Response:
        launching = launching_of(request)
        if not iss or not launch:
            return stopped(request, 400, "An EHR opens this address from a chart", AGAIN, "Nothing was opened")
        return _begin(request, launching, entered(launching.doors, iss), sent=iss, launch=launch)

    @router.get("/launch/alone")
    def alone(request: Request, iss: str = "", door: str = "") -> Response:
        launching = launching_of(request)
        doors = list(launching.doors.values())
        if iss:
            return _begin(request, launching, entered(launching.doors, iss))
        if door in launching.doors:
            return _begin(request, launching, launching.doors[door])
        if door:
            raise NotThere("There is no launch file of that name", fix="choose one of those that there are")
        if len(doors) == 1:
            return _begin(request, launching, doors[0])
        return face.framed(request, "launch/doors.html", doors=doors)

    @router.get("/launch/back")
    def back(request: Request, state: str = "", code: str = "", error: str = "", iss: str = "") -> Response:
        launching = launching_of(request)
        going, sent, bound = _login(launching, state)
        door = launching.doors.get(going.door)
        if door is None:
            raise NotAllowed("This EHR is not known here any more", fix="ask whoever runs this page")
        cookie = request.cookies.get(_bond(state), "")
        if cookie and not secrets.compare_digest(_digest(cookie), bound):
            raise NotAllowed("This sign-in began in another window", fix=AGAIN)
        if error or not code:
            return _refused(request, launching, door, going, sent, error)
        granted = _named(launching, door, _finish(request, launching, door, going, code, iss))
        if wrong := _lacking(granted):
            launching.smart.end(door, granted)
            face.acts.audit(granted.who, f"was not let in: {wrong[0]}", granted.patient)
            return stopped(request, 403, *wrong[1:], title=wrong[0])
        kept = open_session(request, door, granted)
        seen(request, kept.launched, f"opened the chart from {door.title or door.name}", kept.launched.patient)
        if kept.launched.encounter:
            seen(request, kept.launched, "opened the visit", kept.launched.encounter)
        return _opened(request, launching, kept, works=bool(cookie), state=state)

    _sessions(face, router)
    return router


def _sessions(face: Face, router: APIRouter) -> None:
    @router.post("/v/{handle}/ticket")
    async def ticket(request: Request, handle: str) -> Response:
        """The session's token for the script of a page that may keep no cookie: once, and never in an address."""
        said = str((await request.form()).get("ticket", ""))[:200]
        found = launching_of(request).vault.take(f"ticket:{said}") if said else None
        owner, _, token = (found or b"").decode().partition(" ")
        if not token or owner != handle:
            return JSONResponse({"say": "This page was opened already."}, status_code=403)
        return JSONResponse({"token": token})

    @router.get("/v/{handle}/opened")  # noqa: FAST003 - `Here` reads it
    def opened(here: Here) -> Response:
        """Whether the browser kept the cookie."""
        return Response(status_code=204)

    @router.post("/v/{handle}/end")  # noqa: FAST003 - `Here` reads it
    def end(request: Request, here: Here, form: Said) -> Response:
        launching, kept = launching_of(request), kept_of(request, here.handle)
        drop(launching.vault, kept.token)
        seen(request, here, "signed out", here.patient)
        launching.smart.end(launching.doors[here.door], kept.granted)
        answer = stopped(request, 200, "Nothing that you saved is lost.", AGAIN, "You are signed out")
        answer.headers.append("set-cookie", _cookie(launching, cookie_of(here.handle), "", f"/v/{here.handle}", 0))
        return answer


# ---- going


def _begin(request: Request, launching: Launching, door: Door, *, sent: str = "", launch: str = "") -> Response:
    return _go(launching, launching.smart.begin(door, back=_back(launching), launch=launch, sent=sent), sent)


def _go(launching: Launching, going: Going, sent: str) -> Response:
    """Send the browser to the EHR; what must be remembered lies in the vault under its state, for ten minutes."""
    bond = secrets.token_urlsafe(24)
    said = {"going": asdict(going), "sent": sent, "bound": _digest(bond)}
    launching.vault.put(f"login:{going.state}", dumps(said), seconds=LOGIN_SECONDS)
    answer = RedirectResponse(going.url, status_code=303)
    answer.headers.append("set-cookie", _cookie(launching, _bond(going.state), bond, "/launch", LOGIN_SECONDS))
    return answer


def _login(launching: Launching, state: str) -> tuple[Going, str, str]:
    """The sign-in of a state, once. Raises SessionOver for one that is used, too old, or was never begun here."""
    found = launching.vault.take(f"login:{state}") if state and len(state) < 200 else None
    if found is None:
        raise over("This sign-in is over, or was used already")
    said: dict[str, Any] = loads(found)
    going = Going(**{**said["going"], "tried": tuple(said["going"]["tried"])})
    return going, str(said["sent"]), str(said["bound"])


def _finish(request: Request, launching: Launching, door: Door, going: Going, code: str, iss: str) -> Granted:
    try:
        return launching.smart.finish(door, going, code=code, back=_back(launching), iss=iss)
    except NotAllowed:
        request.app.state.face.acts.audit(f"somebody at {door.title or door.name}", "was not let in")
        raise


def _refused(request: Request, launching: Launching, door: Door, going: Going, sent: str, error: str) -> Response:
    """The EHR said no: where it may be the spelling of its own address, the other spelling is tried."""
    if error in {"invalid_request", "invalid_target"}:
        try:
            tried = (*going.tried, going.aud)
            again = launching.smart.begin(door, back=_back(launching), launch=going.launch, sent=sent, tried=tried)
            return _go(launching, again, sent)
        except BillingError:
            pass  # every spelling was refused: it was something else
    request.app.state.face.acts.audit(f"somebody at {door.title or door.name}", "was not let in")
    code = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 40 else "no reason"
    title, say, fix = REFUSED.get(code, ("The EHR did not let you in", f"It says: {code.replace('_', ' ')}.", AGAIN))
    return stopped(request, 403, say, fix, title)


def _named(launching: Launching, door: Door, granted: Granted) -> Granted:
    """Who it is in words, where the EHR gave no name and lets us read it."""
    if granted.who != granted.practitioner or not may(granted.scopes, "Practitioner.r"):
        return granted
    try:
        found = launching.chart_as(door.iss, granted.access).read(granted.practitioner)
    except BillingError:
        return granted
    return replace(granted, who=_full_name(found) or granted.who)


def _full_name(practitioner: dict[str, Any]) -> str:
    names = practitioner.get("name")
    first = names[0] if isinstance(names, list) and names and isinstance(names[0], dict) else {}
    words = [*(first.get("prefix") or ()), *(first.get("given") or ()), first.get("family") or ""]
    text = str(first.get("text") or " ".join(str(word) for word in words if word))
    return "".join(c for c in text if c.isprintable()).replace("<", "").replace(">", "").strip()[:100]


def _lacking(granted: Granted) -> tuple[str, str, str] | None:
    """What stands in the way of opening this chart: title, what happened, what to do."""
    if granted.user.startswith(("Patient/", "RelatedPerson/")):
        return "This page is for clinicians", "You signed in as a patient.", "look at your bills where patients do"
    if not granted.patient:
        return (
            "The EHR named no patient",
            "This page shows one patient's visit, and the EHR opened it without one.",
            "open it from a patient's chart",
        )
    if not may(granted.scopes, "Patient.r"):
        return (
            "The EHR gave too few permissions",
            "This page may not read the patient's record.",
            "allow patient/Patient.rs when the EHR asks, or in its registration of this page",
        )
    return None


# ---- arriving


def _opened(request: Request, launching: Launching, kept: Kept, *, works: bool, state: str) -> Response:
    """Into the visit: at once where cookies work in this frame, else by a page whose script finds out."""
    handle = kept.launched.handle
    target = f"/v/{quote(handle)}/visit"
    answer: Response
    if works:
        answer = RedirectResponse(target, status_code=303)
    else:
        ticket = secrets.token_urlsafe(32)
        launching.vault.put(f"ticket:{ticket}", f"{handle} {kept.token}".encode(), seconds=TICKET_SECONDS)
        face: Face = request.app.state.face
        answer = face.framed(request, "launch/opening.html", handle=handle, target=target, ticket=ticket)
    seconds = 36_000
    answer.headers.append("set-cookie", _cookie(launching, cookie_of(handle), kept.token, f"/v/{handle}", seconds))
    answer.headers.append("set-cookie", _cookie(launching, _bond(state), "", "/launch", 0))
    return answer


def opened_at(request: Request, launching: Launching, kept: Kept) -> Response:
    """Into a visit that no sign-in of an EHR opened: the demo's own."""
    return _opened(request, launching, kept, works=False, state="")


def _back(launching: Launching) -> str:
    return f"{launching.public_url}/launch/back"


def _bond(state: str) -> str:
    """The name of the cookie that binds both ends of a sign-in."""
    return f"l-{_digest(state)[:20]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cookie(launching: Launching, name: str, value: str, path: str, seconds: int) -> str:
    """A cookie that works in an EHR's frame: third-party, of this frame's own partition, and never over plain http.

    Written by hand, for Python knows the word Partitioned only since 3.14.
    """
    parts = urlsplit(launching.public_url)
    framed = parts.scheme == "https" or parts.hostname in {"localhost", "::1"}
    rules = "SameSite=None; Secure; Partitioned" if framed else "SameSite=Lax"
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; {rules}"
