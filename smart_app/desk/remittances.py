"""A remittance is shown with the four sums that it had to pass; one that fails shows both numbers and the line, and posted nothing."""

from __future__ import annotations

from collections import defaultdict

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.views import RemittancePage, RemittedClaim, Tally
from fhir_billing.domain.errors import RemittanceNotFound
from smart_app.face import Face, Who

PLB = {
    "L6": "Interest for paying late",
    "WO": "Taken back for an overpayment",
    "FB": "Carried to the next payment",
    "CT": "Paid by the head",
    "72": "Given back",
    "AH": "A fee",
    "CS": "An adjustment of theirs",
}


def routes(face: Face) -> APIRouter:
    """The list and one remittance."""
    router = APIRouter()

    @router.get("/remittances")
    def remittances(request: Request, who: Who, status: str = "") -> Response:
        every = face.views.remittances()
        tabs: dict[str, int] = defaultdict(int)
        for row in every:
            tabs[row.status] += 1
        rows = [row for row in every if not status or row.status == status]
        face.seen(request, "read the remittances")
        posted = Tally(count=tabs["posted"], amount=sum(r.paid for r in every if r.status == "posted"))
        return face.render(
            request, "remittances.html", rows=rows, tabs=tabs, chosen=status, every=len(every), posted=posted
        )

    @router.get("/remittances/{number}")
    def remittance(request: Request, who: Who, number: str, claim: str = "") -> Response:
        page = face.views.remittance(number)
        if page is None:
            raise RemittanceNotFound(f"There is no remittance {number[:24]}", fix="look its trace number up with Find")
        face.seen(request, "read a remittance", number)
        chosen = next((c for c in page.claims if c.payment.claim == claim), None) or _first(page)
        journal = next((j for j in page.journals if chosen and j.key == chosen.journal), None)
        failing = {i.where: i for i in page.imbalances}
        return face.render(
            request,
            "remittance.html",
            page=page,
            chosen=chosen,
            journal=journal,
            failing=failing,
            plb=PLB,
            differences=differences(page),
        )

    return router


def _first(page: RemittancePage) -> RemittedClaim | None:
    """The claim that needs the eye: one that fails, one that is denied, one that is not known, or the first."""
    failing = [i.where for i in page.imbalances]
    for claim in page.claims:
        if any(where.startswith(f"claim {claim.payment.claim}") for where in failing):
            return claim
    odd = [c for c in page.claims if c.whole.disputed or not c.matched]
    return next(iter(odd or page.claims), None)


def differences(page: RemittancePage) -> list[tuple[str, str, int, int]]:
    """Where two files under one trace number differ: claim, what, posted, this one."""
    if page.twin is None:
        return []
    ours = {c.payment.claim: c for c in page.twin.claims}
    found = [("The payment", "BPR02", page.twin.row.paid, page.row.paid)] if page.twin.row.paid != page.row.paid else []
    for claim in page.claims:
        other = ours.pop(claim.payment.claim, None)
        if other is None:
            found.append((claim.payment.claim, "only in this file", 0, claim.payment.paid))
            continue
        for what, mine, theirs in (
            ("charge", other.whole.charge, claim.whole.charge),
            ("contract", other.whole.contract, claim.whole.contract),
            ("patient", other.whole.patient, claim.whole.patient),
            ("paid", other.whole.paid, claim.whole.paid),
        ):
            if mine != theirs:
                found.append((claim.payment.claim, what, mine, theirs))
    found += [(number, "only in the posted file", left.payment.paid, 0) for number, left in ours.items()]
    return found
