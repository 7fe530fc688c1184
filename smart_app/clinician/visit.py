"""A clinician sees one visit's bill in five words: what is missing, what will be billed, and what the patient will owe.

No codes of the payers' trade, and no money beside a question.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.views import ClaimPage, Complaint, VisitPage, complaints
from fhir_billing.domain.errors import NotThere
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money
from smart_app.desk.claim import services, texts_of_diagnoses
from smart_app.face import Face, Who
from smart_app.look import clinician_word

STEPS = ("Being prepared", "Needs you", "With the payer", "Paid")
DECIDED = (State.PAID, State.CLOSED, State.DENIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the page says of a visit."""

    word: str
    headline: str
    foot: str
    missing: tuple[Complaint, ...] = ()
    """What the clinician can mend."""
    others: tuple[Complaint, ...] = ()
    """What somebody else is mending."""
    owes: Money | None = None
    """None: not known yet."""


def routes(face: Face) -> APIRouter:
    """This visit."""
    router = APIRouter()

    @router.get("/visit/{encounter}")
    def visit(request: Request, who: Who, encounter: str) -> Response:
        page = face.views.visit(f"Encounter/{encounter}")
        if page is None:
            raise NotThere(
                "This visit is not finished, or it has not been read yet",
                fix="it appears here by itself when the visit is finished",
            )
        face.seen(request, "read a visit's bill", f"Encounter/{encounter}")
        bill = bill_of(page)
        return face.render(
            request,
            "visit.html",
            page=page,
            bill=bill,
            steps=steps_of(bill),
            lines=[(claim, services(claim), texts_of_diagnoses(claim)) for claim in page.claims],
        )

    return router


def steps_of(bill: Bill) -> tuple[str, ...]:
    """The way of this bill: Needs you is drawn while it may come, never as something that was passed unasked."""
    return STEPS if bill.word in STEPS[:2] else tuple(step for step in STEPS if step != "Needs you")


def bill_of(page: VisitPage) -> Bill:
    """The visit's bill in one of five words."""
    if not page.claims:
        return _without_claim(page)
    worst = min(page.claims, key=_order)
    found = [finding for claim in page.claims for finding in claim.row.findings if finding.severity == "blocking"]
    mine = tuple(f for f in found if f.fix_by == "clinician" and worst.row.state is State.HELD)
    others = tuple(f for f in found if f not in mine and worst.row.state in {State.HELD, State.REJECTED})
    word = clinician_word(worst.row.state, "clinician" if mine else worst.row.owner)
    payer = worst.row.payer_name
    headlines = {
        "Being prepared": "The bill is being prepared" if not others else "Billing is completing this bill",
        "Needs you": "One thing left, then this visit can be billed"
        if len(mine) == 1
        else f"{len(mine)} things left, then this visit can be billed",
        "With the payer": f"{payer} has the bill",
        "Paid": f"{payer} has decided this bill",
        "Denied": f"{payer} said no to part of this bill" if worst.sums.plan_paid else f"{payer} said no to this bill",
    }
    feet = {
        "Being prepared": f"You need not do anything. The bill goes to {payer} by itself.",
        "Needs you": f"When the chart has it, the bill goes to {payer} by itself, and this page shows With the payer.",
        "With the payer": "You need not do anything. This page changes when the payer answers.",
        "Paid": "You need not do anything.",
        "Denied": "Billing corrects or appeals it. You are asked only when the chart is needed.",
    }
    known = all(c.row.state in DECIDED and not c.sums.disputed and not c.sums.payer_owes for c in page.claims)
    owes = sum(claim.sums.patient_owes for claim in page.claims) if known else None
    return Bill(word=word, headline=headlines[word], foot=feet[word], missing=mine, others=others, owes=owes)


def _order(claim: ClaimPage) -> int:
    """The claim that speaks for the visit: what needs somebody comes first."""
    order = [State.HELD, State.DENIED, State.REJECTED, State.QUERIED, State.DRAFTED, State.READY, State.QUEUED]
    return (
        order.index(claim.row.state)
        if claim.row.state in order
        else len(order) + (claim.row.state in DECIDED) + 2 * (claim.row.state is State.VOIDED)
    )


def _without_claim(page: VisitPage) -> Bill:
    visit = page.visit
    found = complaints(visit.findings)
    mine = tuple(f for f in found if f.fix_by == "clinician")
    if visit.outcome == "self-pay":
        return Bill(
            word="Being prepared",
            headline="No plan covered this visit",
            foot="You need not do anything. The patient gets the bill.",
            owes=visit.charge,
        )
    if visit.outcome in {"not billable", "voided"}:
        return Bill(
            word="Being prepared",
            headline="Nothing is billed for this visit",
            foot="You need not do anything.",
            missing=mine,
        )
    word = "Needs you" if mine else "Being prepared"
    return Bill(
        word=word,
        headline="One thing left, then this visit can be billed" if mine else "The bill is being prepared",
        foot="When the chart has it, the bill is made by itself.",
        missing=mine,
        others=tuple(f for f in found if f not in mine),
    )
