"""One claim can be followed from the visit to the money: its sums, what is wrong, what was said, and where the bytes are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.cycle.views import ClaimPage
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import BillingError, ClaimNotFound, NotThere
from smart_app.clinician.at_hand import chart_said, clinical
from smart_app.clinician.stamps import stamp
from smart_app.desk.acts import OWN, acts_for, facts_of, fix_for, unwritable
from smart_app.face import Face, Posted, Who, back
from smart_app.look import service_words
from smart_app.words import own_set

RELATIONSHIP = {"18": "Self", "01": "Spouse", "19": "Child", "G8": "Other"}


def routes(face: Face) -> APIRouter:
    """The claim's page, its raw forms and its acts."""
    router = APIRouter()

    def found(number: str) -> ClaimPage:
        claim = face.views.claim(number)
        if claim is None:
            raise ClaimNotFound(f"There is no claim {number[:24]}", fix="look it up with Find")
        return claim

    def page(request: Request, number: str, *, status: int = 200, **more: Any) -> Response:
        mark = stamp(face, number)  # before the claim is read: what changes in between is news
        claim = found(number)
        face.seen(request, "read a claim", number)
        return face.render(
            request,
            "claim.html",
            status=status,
            claim=claim,
            acts=acts_for(claim),
            fix=fix_for(claim),
            form=on_the_form(claim.bill) if claim.bill else [],
            services=services(claim),
            called=texts_of_diagnoses(claim),
            wanted=wanted(claim),
            unwritable=unwritable(claim),
            asked=clinical(face).asked_on(claim.row.number),
            stamp=mark,
            chart_said=chart_said,
            **{"failed": "", "error": "", "kept": {}, **more},
        )

    @router.get("/claims/{number}")
    def read(request: Request, who: Who, number: str) -> Response:
        return page(request, number)

    @router.get("/claims/{number}/elements")
    def elements(request: Request, who: Who, number: str) -> Response:
        claim = found(number)
        face.seen(request, "read where each element of a claim came from", number)
        return face.render(request, "elements.html", claim=claim, origins=face.views.elements(number))

    @router.get("/claims/{number}/fhir")
    def fhir(request: Request, who: Who, number: str) -> Response:
        claim = found(number)
        face.seen(request, "read a claim's FHIR Claim", number)
        return face.render(
            request,
            "raw.html",
            claim=claim,
            title=f"{number}, FHIR Claim",
            about=claim.mapping,
            json=claim.resource,
            rows=None,
            sha256="",
            crumb=("/claims/" + number, number),
        )

    @router.get("/claims/{number}/837/{key}")
    def sent(request: Request, who: Who, number: str, key: str) -> Response:
        claim, envelope = found(number), face.views.envelope(key)
        if envelope is None or number not in envelope.row.claims:
            raise NotThere(
                f"{number[:24]} is not in a file called {key[:40]}", fix="open it from the claim's biography"
            )
        face.seen(request, "read a claim's 837", number)
        sets = [st for st, numbers in envelope.row.sets.items() if number in numbers]
        return face.render(
            request,
            "raw.html",
            claim=claim,
            title=f"{number} in {key}",
            about="Only this claim's transaction set; the file holds other patients too.",
            json=None,
            rows=own_set(envelope.body, sets),
            sha256=envelope.row.sha256,
            crumb=("/claims/" + number, number),
        )

    @router.post("/claims/{number}/{kind}")
    def act(request: Request, who: Who, form: Posted, number: str, kind: str) -> Response:
        if kind not in OWN:
            raise NotThere(f"There is no act called {kind[:20]}", fix="use the claim's own buttons")
        claim = found(number)
        try:
            face.acts.act(kind, facts_of(kind, claim, form), who, str(form.get("key", "")))
        except BillingError as error:
            kept = {name: str(value) for name, value in form.items()}
            return page(request, number, status=422, failed=kind, error=str(error), kept=kept)
        face.seen(request, f"did {kind}", number)
        now = face.views.claim(number) or claim
        request.session["flash"] = {"tone": "green", "say": said(kind, now)}
        return RedirectResponse(back(form.get("next"), f"/claims/{number}"), status_code=303)

    return router


def said(kind: str, claim: ClaimPage) -> str:
    """What became of the act, in a few words; no patient's name."""
    done = {
        "correct": "checked again",
        "release": "released",
        "hold": "held",
        "withdraw": "withdrawn",
        "pay": "payment entered",
        "give-up": "given up",
        "appeal": "appeal noted",
        "answer": "answer noted",
        "other-coverage": "goes on to the other plan",
        "note": "note saved",
        "ask": "the clinician is asked",
    }
    return f"{claim.row.number}: {done[kind]}. It is {claim.row.state} now."


def wanted(claim: ClaimPage) -> list[dict[str, Any]]:
    """The proportional bar: what became of each dollar of the charge."""
    sums = claim.sums
    later = sum(amount for _, amount in claim.next_plans)
    parts = [
        ("f-write", sums.contract + sums.other, "Write-off (contract)"),
        ("f-green", sums.plan_paid, "Paid by the plan"),
        ("f-green", sums.patient_paid, "Paid by the patient"),
        ("f-neutral", sums.given_up, "Given up"),
        ("f-teal", sums.patient_owes, "The patient owes"),
        ("f-blue", sums.payer_owes - later, "The payer owes"),
        *(("f-blue", amount, f"Waits for {name}") for name, amount in claim.next_plans),
        ("f-red", sums.disputed, "In dispute"),
    ]
    return [{"css": css, "amount": amount, "label": label} for css, amount, label in parts if amount > 0]


def on_the_form(bill: Claim) -> list[tuple[str, str, bool]]:
    """Label, value as billed, and whether it is a code."""
    first = bill.insurance[0]
    doctor = bill.rendering or bill.attending
    name = (
        f"{doctor.family}, {doctor.given}".strip(", ") if doctor and doctor.is_person else doctor.name if doctor else ""
    )
    rows = [
        ("Member id", first.member_id, True),
        ("Relationship", RELATIONSHIP.get(first.relationship, first.relationship), False),
        ("Group", first.group_number, True),
        ("Authorization number", bill.authorization, True),
        ("Billing provider", bill.billing.name or bill.billing.family, False),
        ("Billing NPI", bill.billing.npi, True),
        ("Rendering provider" if bill.rendering else "Attending provider", name, False),
        ("NPI", doctor.npi if doctor else "", True),
        ("Place of service", bill.place, True),
        ("Kind of bill", f"{bill.kind}, frequency {bill.frequency}", True),
        ("Filing indicator", first.filing_indicator, True),
        ("Payer's number", bill.payer_icn, True),
    ]
    return [(label, value, is_code) for label, value, is_code in rows]


def services(claim: ClaimPage) -> list[dict[str, Any]]:
    """Each line with what it is called in the chart, and what was decided of it in the latest decision."""
    if claim.bill is None:
        return []
    texts = {int(item.get("sequence", 0)): _text(item) for item in claim.resource.get("item", [])}
    decided = claim.decisions[-1] if claim.decisions and not claim.decisions[-1].payment.is_reversal else None
    answers = list(decided.lines) if decided else []
    rows = []
    for position, line in enumerate(claim.bill.lines):
        answer = next(
            (a for a in answers if a.control and a.control in {str(line.number), f"{claim.row.number}-{line.number}"}),
            None,
        )
        if answer is None and position < len(answers) and len(answers) == len(claim.bill.lines):
            answer = answers[position]
        code = "-".join(c for c in (line.procedure or line.revenue_code, *line.modifiers) if c)
        letters = " ".join(chr(64 + p) for p in line.pointers if 0 < p < 27)
        rows.append(
            {
                "line": line,
                "code": code,
                "text": texts.get(line.number, ""),
                "kind": service_words(line.procedure or line.revenue_code),
                "why": letters,
                "answer": answer,
            }
        )
    return rows


def _text(item: dict[str, Any]) -> str:
    """The chart's own words for a service: never a licensed description of ours."""
    concept = item.get("productOrService", {})
    shown = [str(c["display"]) for c in concept.get("coding", []) if c.get("display")]
    return str(concept.get("text") or (shown[-1] if shown else ""))


def texts_of_diagnoses(claim: ClaimPage) -> dict[int, str]:
    """The chart's own words for each diagnosis."""
    found = {}
    for entry in claim.resource.get("diagnosis", []):
        concept = entry.get("diagnosisCodeableConcept", {})
        shown = [str(c["display"]) for c in concept.get("coding", []) if c.get("display")]
        codes = [str(c["code"]) for c in concept.get("coding", []) if c.get("code")]
        found[int(entry.get("sequence", 0))] = str(
            concept.get("text") or (shown[-1] if shown else "") or next(iter(codes), "")
        )
    return found
