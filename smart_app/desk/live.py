"""A list stays still; the navigation's counts may change, and a banner says that there is news."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing.domain.lifecycle import State
from smart_app.desk.lists import LISTS
from smart_app.desk.worklists import rows_of, stamp
from smart_app.face import Face, Who
from smart_app.words import many

S = State
COUNTED = {
    "held": (S.HELD,),
    "ready": (S.DRAFTED, S.READY, S.QUEUED),
    "rejected": (S.REJECTED,),
    "queried": (S.QUERIED,),
    "denied": (S.DENIED,),
    "appealed": (S.APPEALED,),
    "with-payers": (S.SENT, S.RECEIVED, S.ACCEPTED, S.PENDED),
    "decided": (S.PAID, S.CLOSED),
}


def routes(face: Face) -> APIRouter:
    """What a page asks every 15 seconds while somebody looks at it."""
    router = APIRouter()

    @router.get("/live")
    def live(request: Request, who: Who, list: str = "") -> Response:  # noqa: A002 - the parameter's public name
        counts = face.views.counts(face.today())
        stuck = counts.waiting_in + counts.waiting_out
        return JSONResponse(
            {
                "counts": {
                    **{f"/worklists/{name}": f"{counts.of(states).count:,}" for name, states in COUNTED.items()},
                    "/worklists/silent": f"{counts.silent.count:,}",
                    "/quarantine": f"{counts.quarantined:,}",
                    "/patients": f"{counts.patients.count:,}",
                },
                "stuck": bool(stuck),
                "lamp": f"{many(stuck, 'message')} on the way" if stuck else "Live · all lanes moving",
                "stamp": stamp(rows_of(face, LISTS[list])) if list in LISTS else "",
            }
        )

    return router
