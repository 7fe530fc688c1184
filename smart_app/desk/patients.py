"""A patient's balance says what the visit cost, what the plan took off, what it paid, and why the rest is theirs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.cycle.views import VisitBalance
from fhir_billing.domain.errors import BillingError, NotThere
from smart_app.desk.acts import amount_of, payment_fields
from smart_app.face import Face, Posted, Who
from smart_app.look import PATIENT_REASONS


def routes(face: Face) -> APIRouter:
    """The list of balances and one patient's page."""
    router = APIRouter()

    def page(
        request: Request,
        patient: str,
        *,
        status: int = 200,
        failed: str = "",
        error: str = "",
        kept: dict[str, str] | None = None,
    ) -> Response:
        found = face.views.patient(f"Patient/{patient}")
        if found is None:
            raise NotThere("There is no such patient here", fix="look the patient up with Find")
        face.seen(request, "read a patient's balance", f"Patient/{patient}")
        return face.render(
            request,
            "patient.html",
            status=status,
            page=found,
            patient=patient,
            story=story,
            why=PATIENT_REASONS,
            fields=payment_fields,
            failed=failed,
            error=error,
            kept=kept or {},
        )

    @router.get("/patients")
    def patients(request: Request, who: Who) -> Response:
        face.seen(request, "read the patients' balances")
        return face.render(request, "patients.html", rows=face.views.patients())

    @router.get("/patients/{patient}")
    def balance(request: Request, who: Who, patient: str) -> Response:
        return page(request, patient)

    @router.post("/patients/{patient}/pay")
    def pay(request: Request, who: Who, form: Posted, patient: str) -> Response:
        number = str(form.get("claim", ""))
        found = face.views.patient(f"Patient/{patient}")
        if found is None or number not in {visit.number for visit in found.visits}:
            raise NotThere("This patient has no such bill", fix="enter the payment on the bill's own patient")
        try:
            facts = {"claim": number, "amount": amount_of(str(form.get("amount", ""))), "how": str(form.get("how", ""))}
            face.acts.act("pay", facts, who, str(form.get("key", "")))
        except BillingError as error:
            kept = {name: str(value) for name, value in form.items()}
            return page(request, patient, status=422, failed=number, error=str(error), kept=kept)
        face.seen(request, "did pay", number)
        request.session["flash"] = {"tone": "green", "say": f"Payment entered on {number}."}
        return RedirectResponse(f"/patients/{patient}", status_code=303)

    return router


def story(visit: VisitBalance) -> list[dict[str, Any]]:
    """The falling bars: what the visit cost, less each thing, is the patient's part; offset and width in percent of the cost."""
    sums = visit.sums
    cost = sums.charge + sums.moved if sums.charge or sums.moved else visit.charge
    if cost <= 0:
        return []
    later = sum(amount for _, amount in visit.next_plans)
    steps = [
        ("Lower price your plan agreed", sums.contract + sums.other, "f-seq-2"),
        ("Your plan paid", sums.plan_paid, "f-seq-3"),
        ("We gave up", sums.given_up, "f-neutral"),
        ("Your plan still decides", sums.payer_owes + sums.disputed - later, "f-blue"),
        *((f"{name} still decides", amount, "f-blue") for name, amount in visit.next_plans),
        ("You paid", sums.patient_paid, "f-green"),
    ]
    rows = [{"label": "The visit cost", "amount": cost, "at": 0, "wide": 1000, "css": "f-write", "is": False}]
    left = cost
    for label, amount, css in steps:
        if amount:
            left -= amount
            rows.append(
                {
                    "label": label,
                    "amount": -amount,
                    "at": max(0, 1000 * left // cost),
                    "wide": min(1000, 1000 * abs(amount) // cost + 1),
                    "css": css,
                    "is": False,
                }
            )
    rows.append(
        {
            "label": "Your part now",
            "amount": left,
            "at": 0,
            "wide": max(0, min(1000, 1000 * left // cost)),
            "css": "f-accent",
            "is": True,
        }
    )
    return rows
