"""Every visit of this patient in five words, with its days, and what the patient was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.views import VisitPage
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money, spoken
from smart_app.clinician.at_hand import clinical, spoken_name, visit_of
from smart_app.clinician.stamps import stamp_of
from smart_app.clinician.this_visit import framed
from smart_app.clinician.visit import Bill, bill_of
from smart_app.face import Face
from smart_app.launch.session import Here, seen

SENT = frozenset({State.SENT, State.RECEIVED, State.ACCEPTED, State.PENDED, State.QUERIED, State.APPEALED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One visit's bill, in words."""

    served_on: date | None
    what: str
    bill: Bill
    payer: str
    charge: Money
    since: datetime | None
    since_what: str
    told: str


def routes(face: Face) -> APIRouter:
    """This patient's bills."""
    router = APIRouter()

    @router.get("/v/{handle}/bills")
    def bills(request: Request, here: Here) -> Response:
        mark = stamp_of(face, here, visit_of(request, here))
        pages = [page for page in clinical(face).bills(here.patient) if page.visit.patient == here.patient]
        seen(request, here, "read this patient's bills", here.patient)
        site = face.settings.site
        amounts = bool(site and site.clinicians.see_charges)
        name = spoken_name(pages[0].visit.patient_name) if pages and here.banner else ""
        return framed(
            face,
            request,
            here,
            "clinician/bills.html",
            at="bills",
            lines=[line_of(page, amounts=amounts) for page in pages],
            patient_name=name,
            stamp=mark,
        )

    return router


def line_of(page: VisitPage, *, amounts: bool) -> Line:
    """A visit's line; what the patient was told names an amount only where clinicians may see amounts."""
    bill, first = bill_of(page), next(iter(page.claims), None)
    moments = [t.at for claim in page.claims for t in claim.biography if t.end in SENT]
    decided = [
        t.at for claim in page.claims for t in claim.biography if t.end in {State.PAID, State.DENIED, State.CLOSED}
    ]
    since = max(decided or moments, default=None)
    return Line(
        served_on=page.visit.served_on,
        what=page.visit.what,
        bill=bill,
        payer=first.row.payer_name if first else "",
        charge=page.visit.charge,
        since=since,
        since_what="decided" if decided else "sent",
        told=told(page, bill, amounts=amounts),
    )


def told(page: VisitPage, bill: Bill, *, amounts: bool) -> str:
    """What the patient knows of this visit's money: nothing before the plan has decided."""
    if bill.owes is None:
        return "Nothing yet: the plan has not decided." if page.claims else "Nothing yet."
    if page.visit.outcome == "self-pay":
        return (
            f"A bill over {spoken(bill.owes)}: no plan covered the visit."
            if amounts
            else "A bill: no plan covered the visit."
        )
    if bill.owes <= 0:
        return "That nothing is owed."
    return f"That {spoken(bill.owes)} is theirs to pay." if amounts else "That a part is theirs to pay."
