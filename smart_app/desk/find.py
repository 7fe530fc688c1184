"""A search may hold a name, so it is posted: nothing of it stands in an address, a log or a browser's history."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.cycle.views import Found
from smart_app.face import Face, Posted, Who

HREF = {
    "claim": "/claims/",
    "patient": "/patients/",
    "remittance": "/remittances/",
    "file": "/sent/",
    "visit": "/visit/",
}


def routes(face: Face) -> APIRouter:
    """Find."""
    router = APIRouter()

    @router.get("/find")
    def ask(request: Request, who: Who) -> Response:
        return face.render(request, "find.html", words="", found=None, href=address)

    @router.post("/find")
    def find(request: Request, who: Who, form: Posted) -> Response:
        words = str(form.get("words", "")).strip()[:100]
        found = face.views.find(words) if words else []
        face.seen(
            request, f"searched, {len(found)} found", ", ".join(f.key for f in found if f.what != "patient")[:300]
        )
        exact = [f for f in found if f.what != "patient" and f.key.upper() == words.upper()]
        if len(exact) == 1:
            return RedirectResponse(address(exact[0]), status_code=303)
        return face.render(request, "find.html", words=words, found=found, href=address)

    return router


def address(found: Found) -> str:
    """Where a thing that was found stands."""
    return HREF[found.what] + found.key.rpartition("/")[2]
