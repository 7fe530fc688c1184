"""Every finished visit is accounted for: billed, held, paid by the patient, or not billable, and the counts add up."""

from __future__ import annotations

from collections import defaultdict

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.records import VisitRecord
from fhir_billing.cycle.views import Tally, complaints
from smart_app.face import Face, Who

PAGE = 100


def routes(face: Face) -> APIRouter:
    """Visits."""
    router = APIRouter()

    @router.get("/visits")
    def visits(request: Request, who: Who, outcome: str = "", offset: int = 0) -> Response:
        every, offset = face.views.visits(), max(0, offset)
        rows = [visit for visit in every if not outcome or visit.outcome == outcome]
        face.seen(request, "read the visits")
        return face.render(
            request,
            "visits.html",
            rows=rows[offset : offset + PAGE],
            found=len(rows),
            offset=offset,
            size=PAGE,
            outcome=outcome,
            tallies=by_outcome(every),
            every=len(every),
            complaints=complaints,
        )

    return router


def by_outcome(visits: list[VisitRecord]) -> dict[str, Tally]:
    """Count and charge of each outcome."""
    found: dict[str, Tally] = defaultdict(Tally)
    for visit in visits:
        so_far = found[visit.outcome]
        found[visit.outcome] = Tally(count=so_far.count + 1, amount=so_far.amount + visit.charge)
    return dict(found)
