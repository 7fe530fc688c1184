"""A clinician sees in ten seconds whether this visit can be billed, and answers what is missing with one tap.

Questions are neutral: equal answers from the chart's own evidence, something else, I can't say; nothing is preselected, and no
money stands beside a question. What will be billed and owed stands below, and amounts only where the site shows them.
`smart_style_url` is not followed: the EHR's colours are not known to hold 4.5 : 1 on our states, and reading them would let
an EHR's page setting choose an address for this server to ask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.cycle.views import Complaint
from fhir_billing.domain.errors import BillingError
from fhir_billing.domain.finding import Owner
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Question
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.questions import ASKED, kinds
from smart_app.clinician.at_hand import (
    AtHand,
    at_hand,
    chart_said,
    choose,
    clinical,
    drafts,
    in_a_sentence,
    open_ones,
    short,
    spoken_name,
    visit_of,
)
from smart_app.clinician.stamps import stamp_of
from smart_app.clinician.visit import Bill, bill_of, steps_of
from smart_app.desk.claim import services, texts_of_diagnoses
from smart_app.face import Face
from smart_app.launch.session import Here, Launched, Said, SessionOver, chart_of, launching_of, name_of, seen
from smart_app.look import VISITS

LISTED: Final = 20
"""So many visits are offered when the EHR opened none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One visit to choose from."""

    encounter: str
    day: str
    what: str


def routes(face: Face) -> APIRouter:
    """This visit."""
    router = APIRouter()

    @router.get("/v/{handle}/visit")
    def visit(request: Request, here: Here, done: str = "", again: str = "") -> Response:
        encounter = visit_of(request, here)
        if not encounter:
            return _choosing(face, request, here)
        found = at_hand(face, request, here, encounter, again=bool(again))
        seen(request, here, "read this visit", encounter)
        ring(face, here, found)
        return shown(face, request, here, found, done=done)

    @router.post("/v/{handle}/choose")
    def chosen(request: Request, here: Here, form: Said) -> Response:
        offered = loads(launching_of(request).vault.get(f"offered:{here.handle}") or b"[]")
        position = str(form.get("visit", ""))
        if position.isdigit() and 0 < int(position) <= len(offered) and not here.encounter:
            choose(request, here, str(offered[int(position) - 1]))
            seen(request, here, "chose a visit", str(offered[int(position) - 1]))
        return RedirectResponse(f"/v/{here.handle}/visit", status_code=303)

    return router


def ring(face: Face, here: Launched, found: AtHand) -> None:
    """A finished visit that the book has not read yet is read now: nobody needs to press anything."""
    if found.unread:
        face.acts.ring(found.encounter, name_of(here))


def shown(
    face: Face,
    request: Request,
    here: Launched,
    found: AtHand,
    *,
    status: int = 200,
    done: str = "",
    failed: str = "",
    error: str = "",
    kept: str = "",
) -> Response:
    """The page of one visit."""
    bill = bill_for(found)
    claims = found.page.claims if found.page and found.page.claims else ()
    if not claims and found.side and found.side.drafted:
        claims = tuple(drafts(found.side.drafted))
    name, age, day, what = whose(found)
    return framed(
        face,
        request,
        here,
        "clinician/this_visit.html",
        status=status,
        at="visit",
        found=found,
        bill=bill,
        steps=steps_of(bill),
        lines=[(claim, services(claim), texts_of_diagnoses(claim)) for claim in claims],
        patient_name=name if here.banner else "",
        age=age if here.banner else None,
        served_on=day,
        what=VISITS.get(what.lower(), what),
        said=_said(found, done),
        failed=failed,
        error=error,
        kept=kept,
        stamp=found.stamp or stamp_of(face, here, ""),
    )


def framed(face: Face, request: Request, here: Launched, template: str, *, status: int = 200, **facts: Any) -> Response:
    """A launched page with what all of them need."""
    site = face.settings.site
    shown: dict[str, Any] = {
        "here": here,
        "base": f"/v/{here.handle}",
        "waiting": open_ones(face, here),
        "see_charges": bool(site and site.clinicians.see_charges),
        "short": short,
        "digits": digits,
        "typed": typed,
        "when": lambda at: ago(face, at),
        "chart_said": chart_said,
        "CANT_SAY": CANT_SAY,
        "SOMETHING_ELSE": SOMETHING_ELSE,
        "patient_name": "",
        "age": None,
        "served_on": None,
        "what": "",
        "stamp": "",
        **facts,
    }
    return face.framed(request, template, status=status, **shown)


def digits(question: Question) -> dict[str, int]:
    """Which key answers what: 1 to 9, in the order in which the answers stand."""
    other = [SOMETHING_ELSE] if question.choices or question.finder or question.entry else []
    keys = [*(choice.key for choice in question.choices), *other, CANT_SAY]
    return {key: number for number, key in enumerate(keys, 1) if number < 10}


def typed(question: Question) -> frozenset[str]:
    """The answers that want something typed beside them."""
    kind = kinds().get(question.kind)
    return frozenset(kind.entry) if kind else frozenset()


def bill_for(found: AtHand) -> Bill:
    """The visit's bill in one of five words, with what people here may still answer."""
    count = sum(question.blocks and question.kind != ASKED for question in found.questions)
    if found.page is not None:
        bill = bill_of(found.page)
        if found.side is None:
            return bill
        about = {question.settles for question in found.questions if question.settles}
        bill = replace(bill, missing=tuple(f for f in bill.missing if f.key not in about))
        if count and bill.word in {"Being prepared", "Needs you"}:
            payer = found.page.claims[0].row.payer_name if found.page.claims else "the payer"
            foot = f"When you have answered, the bill goes to {payer} by itself, and this page shows With the payer."
            foot = bill.foot if bill.missing else foot
            return replace(bill, word="Needs you", headline=_left(count + len(bill.missing)), foot=foot)
        if found.questions and not bill.missing:
            return replace(bill, foot="Whoever asked sees your answer at once.")
        return bill
    return _open_bill(found, count)


def _left(count: int) -> str:
    return "One answer left, then this visit can be billed" if count == 1 else f"{count} answers left, then this visit can be billed"  # fmt: skip


def _open_bill(found: AtHand, count: int) -> Bill:
    side = found.side
    if side is None:
        return Bill(
            word="Being prepared",
            headline="This visit is not with billing yet",
            foot="When the visit is finished, billing reads it by itself.",
        )
    drafted = side.drafted
    mine, others = _complaints(side.others)
    payer = next(
        (c.claim.insurance[0].payer.name for c in (drafted.claims if drafted else ()) if c.claim.insurance), "the payer"
    )
    foot = f"the bill goes to {payer or 'the payer'} by itself, and this page shows With the payer."
    foot = f"That is all. When the visit is finished, {foot}" if side.open else f"You need not do anything more: {foot}"
    if others:
        foot = "Nothing more is needed of you. Billing completes the bill once the visit is finished."
    left = count + len(mine)
    if left:
        foot = "When you have answered and the visit is finished, the bill leaves by itself."
        return Bill(word="Needs you", headline=_left(left), foot=foot, missing=mine, others=others)
    if drafted is None or (not drafted.claims and drafted.outcome != "self-pay"):
        return Bill(
            word="Being prepared",
            headline="Nothing to bill is in the chart yet" if side.open else "Nothing is billed for this visit",
            foot="What is charted appears here.",
            others=others,
        )
    if drafted.outcome == "self-pay":
        return Bill(
            word="Being prepared",
            headline="No plan covers this visit",
            foot="You need not do anything. The patient gets the bill.",
            others=others,
        )
    headline = "Billing is completing this bill" if others else "Nothing is missing: this visit can be billed"
    return Bill(word="Being prepared", headline=headline, foot=foot, others=others)


def _complaints(findings: Any) -> tuple[tuple[Complaint, ...], tuple[Complaint, ...]]:
    """What the clinician mends in the chart, and what others mend."""
    said = [
        Complaint(key=f.key, say=f.say, at=f.at, fix=f.fix, fix_by=f.fix_by.value, source=f.source, resource=f.resource)
        for f in findings
    ]
    mine = tuple(c for c in said if c.fix_by == Owner.CLINICIAN.value)
    return mine, tuple(c for c in said if c.fix_by != Owner.CLINICIAN.value)


def whose(found: AtHand) -> tuple[str, int | None, date | None, str]:
    """Name, age on the day, day and kind of visit."""
    record = found.page.visit if found.page else found.side.drafted if found.side else None
    if record is None:
        return "", None, None, ""
    day, birth = record.served_on, record.patient_birth
    age = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day)) if day and birth else None
    return spoken_name(record.patient_name), age, day, record.what


def _said(found: AtHand, done: str) -> Answer | None:
    """The answer that was just given, to say so."""
    return next((answer for answer in found.answered if done and short(answer.question) == done), None)


def ago(face: Face, at: Any) -> str:
    """When somebody answered, as one says it."""
    if at is None:
        return ""
    seconds = (face.settings.now() - at).total_seconds()
    if seconds < 120:
        return "just now"
    return f"{int(seconds // 60)} minutes ago" if seconds < 3600 else ""


# ---- an EHR that opened the patient, and no visit


def _choosing(face: Face, request: Request, here: Launched) -> Response:
    """The patient's visits; which is which is remembered here, so that no address names one."""
    say, found = "", []
    try:
        found = _charted(chart_of(request, here).visits())
    except SessionOver:
        raise
    except BillingError as error:
        say = in_a_sentence(error)
    if not found:
        found = [
            Offered(encounter=b.visit.encounter, day=b.visit.served_on.isoformat() if b.visit.served_on else "", what=b.visit.what)
            for b in clinical(face).bills(here.patient)
        ]  # fmt: skip
    offered = sorted(found, key=lambda o: o.day, reverse=True)[:LISTED]
    launching_of(request).vault.put(
        f"offered:{here.handle}", dumps([o.encounter for o in offered]), seconds=36_000
    )  # fmt: skip
    seen(request, here, "looked for visits", here.patient)
    return framed(
        face,
        request,
        here,
        "clinician/choose.html",
        at="visit",
        offered=[
            (o, date.fromisoformat(o.day) if o.day else None, VISITS.get(o.what.lower(), o.what)) for o in offered
        ],
        say=say,
    )


def _charted(encounters: list[dict[str, Any]]) -> list[Offered]:
    offered = []
    for visit in encounters:
        period = visit.get("period") or {}
        day = str(period.get("start") or period.get("end") or "")[:10]
        try:
            date.fromisoformat(day)
        except ValueError:
            day = ""
        kinds = visit.get("type") or [{}]
        shown = [str(c["display"]) for c in kinds[0].get("coding", []) if c.get("display")]
        what = str(kinds[0].get("text") or next(iter(shown), "") or "Visit")
        if visit.get("id") and visit.get("status") not in {"cancelled", "entered-in-error"}:
            offered.append(Offered(encounter=f"Encounter/{visit['id']}", day=day, what=what[:80]))
    return offered
