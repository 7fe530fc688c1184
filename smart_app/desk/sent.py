"""What left is kept byte for byte under its control numbers, with the channel's receipt and where its claims are today."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from fhir_billing.cycle.views import EnvelopePage
from fhir_billing.domain.errors import NotThere
from smart_app.face import Face, Who
from smart_app.words import segments


def routes(face: Face) -> APIRouter:
    """Sent files."""
    router = APIRouter()

    def found(key: str) -> EnvelopePage:
        page = face.views.envelope(key)
        if page is None:
            raise NotThere(f"There is no file called {key[:40]}", fix="open it from the list of sent files")
        return page

    @router.get("/sent")
    def sent(request: Request, who: Who) -> Response:
        face.seen(request, "read the sent files")
        return face.render(request, "sent.html", rows=face.views.sent())

    @router.get("/sent/{key}")
    def envelope(request: Request, who: Who, key: str) -> Response:
        page = found(key)
        face.seen(request, "read a sent file", key)
        return face.render(request, "envelope.html", page=page, rows=segments(page.body))

    @router.get("/sent/{key}/bytes")
    def download(request: Request, who: Who, key: str) -> Response:
        page = found(key)
        face.seen(request, "downloaded a sent file", key)
        headers = {"content-disposition": f'attachment; filename="{page.row.key}.x12"'}
        return PlainTextResponse(page.body, media_type="application/octet-stream", headers=headers)

    return router
