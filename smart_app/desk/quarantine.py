"""What breaks its own rules is kept whole and shown: the place, the fix, the bytes, and a button that tries again."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from fhir_billing.cycle.views import MessagePage
from fhir_billing.domain.errors import BillingError, MessageNotFound
from smart_app.face import Face, Posted, Who
from smart_app.words import Segment, segments

MOST = 2000
"""Segments that one page shows."""


def _window(rows: list[Segment] | None) -> list[Segment] | None:
    """Not more than a browser likes, with what a finding points at always among them."""
    if rows is None or len(rows) <= MOST:
        return rows
    first = next((n for n, row in enumerate(rows) if row.hit), 0)
    start = max(0, min(first - MOST // 2, len(rows) - MOST))
    return rows[start : start + MOST]


def routes(face: Face) -> APIRouter:
    """The quarantine, any message's raw bytes, and retry."""
    router = APIRouter()

    def found(number: int) -> MessagePage:
        page = face.views.message(number)
        if page is None:
            raise MessageNotFound(f"There is no message {number}", fix="open it from the quarantine or a biography")
        return page

    @router.get("/quarantine")
    def quarantine(request: Request, who: Who) -> Response:
        face.seen(request, "read the quarantine")
        return face.render(request, "quarantine.html", rows=face.views.quarantined(), waits=face.views.in_vain())

    @router.get("/quarantine/{number}")
    def message(request: Request, who: Who, number: int) -> Response:
        page = found(number)
        face.seen(request, "read a raw message", str(number))
        places = [finding.at for finding in page.row.findings] + [page.row.say]
        rows = segments(page.body, places)
        text = page.body[:200_000].decode("utf-8", "replace") if rows is None else ""
        more = max(0, len(rows) - MOST) if rows else 0
        return face.render(request, "message.html", page=page, rows=_window(rows), text=text, more=more)

    @router.get("/raw/{number}")
    def raw(request: Request, who: Who, number: int) -> Response:
        page = found(number)
        face.seen(request, "downloaded a raw message", str(number))
        return PlainTextResponse(
            page.body,
            media_type="application/octet-stream",
            headers={"content-disposition": f'attachment; filename="message-{number}.txt"'},
        )

    @router.post("/quarantine/{number}/retry")
    def retry(request: Request, who: Who, form: Posted, number: int) -> Response:
        found(number)
        try:
            face.acts.retry(number, who)
        except BillingError as error:
            request.session["flash"] = {"tone": "red", "say": f"Message {number} is here again: {error.say}"[:300]}
            return RedirectResponse(f"/quarantine/{number}", status_code=303)
        now = found(number).row
        good = now.outcome != "quarantined"
        say = f"Message {number} was tried again: {now.outcome}."
        request.session["flash"] = {"tone": "green" if good else "red", "say": say}
        return RedirectResponse("/quarantine" if good else f"/quarantine/{number}", status_code=303)

    return router
