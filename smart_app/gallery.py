"""Every part of the screens on one page, made from the real templates, so that a change is seen in all its states at once."""

from __future__ import annotations

from datetime import date, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.arithmetic import Check
from fhir_billing.cycle.views import Complaint
from smart_app.desk.acts import Act, Field
from smart_app.face import Face, Who
from smart_app.look import CLINICIAN, STATES


def routes(face: Face) -> APIRouter:
    """The gallery; it exists in the demo only."""
    router = APIRouter()

    @router.get("/gallery")
    def gallery(request: Request, who: Who) -> Response:
        today = face.today()
        return face.render(
            request,
            "gallery.html",
            states=STATES,
            five=CLINICIAN,
            dues=[_in(today, days) for days in (78, 13, 4, 0, -3)],
            findings=[
                Complaint(
                    key="no-diagnosis",
                    say="Line 2 has no diagnosis",
                    fix="Choose one that the chart holds",
                    fix_by="clinician",
                    at="Claim.item[1]",
                    source="edit",
                ),
                Complaint(
                    key="timely-filing",
                    severity="warning",
                    say="9 days left to file",
                    fix="Release it now",
                    at="Claim.billablePeriod.end",
                    source="edit",
                ),
                Complaint(key="answered", severity="note", say="Right knee confirmed by the clinician", source="chart"),
            ],
            act=Act(
                kind="hold",
                label="Hold",
                button="Hold the claim",
                what="It stays here until it is released.",
                fields=(Field(name="reason", label="Why", hint="A few words."),),
            ),
            marks=[
                Check(holds=True, title="Every line adds up", detail="41 of 41"),
                Check(holds=False, title="The file does not add up", detail="$12.40 too much"),
                Check(holds=None, title="Nothing was posted", detail="the whole file waits"),
            ],
        )

    return router


def _in(today: date, days: int) -> tuple[date, date]:
    return today + timedelta(days=days), today - timedelta(days=max(90 - days, 30))
