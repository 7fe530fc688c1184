"""What lies before the clinician: one visit as its bill would be now, whether the book has it or only the chart.

A visit that is finished is in the book, and the book is what is shown. One that is still open is drafted from the chart as it
is at this moment, with the clinician's own rights; what was read rests encrypted in the vault for a minute, so that an answer
does not wait for the EHR. What the EHR does not let us read becomes one sentence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from fastapi import Request

from fhir_billing.cycle.bedside import Bedside, bedside
from fhir_billing.cycle.clinician import AskedQuestion, ClinicianViews
from fhir_billing.cycle.draft import DraftedClaim, DraftedVisit
from fhir_billing.cycle.views import ClaimPage, ClaimRow, VisitPage
from fhir_billing.domain.errors import BillingError, NotNow, NotThere, ScopeMissing
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.question import Answer, Question
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.questions import decides
from smart_app.clinician.stamps import stamp_of
from smart_app.face import Face
from smart_app.launch.session import Launched, SessionOver, chart_of, launching_of

FRESH_SECONDS: Final = 60
CHOSEN_SECONDS: Final = 36_000
STAYS: Final = frozenset({State.DRAFTED, State.HELD, State.READY})
"""While every claim of a visit is in one of these, nothing has left: an answer can still be changed."""

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """One visit as its page shows it."""

    encounter: str = ""
    page: VisitPage | None = None
    """As the book has it, when it has."""
    side: Bedside | None = None
    """As its bill would be now; None when neither book nor chart could say."""
    questions: tuple[Question, ...] = ()
    answered: tuple[Answer, ...] = ()
    say: str = ""
    """What could not be read, in one sentence."""
    stamp: str = ""
    """Taken before any of this was read."""

    @property
    def stays(self) -> bool:
        """Nothing has left yet."""
        return self.page is None or all(claim.row.state in STAYS for claim in self.page.claims)

    @property
    def unread(self) -> bool:
        """The visit is finished, and the book has not read it."""
        return self.page is None and self.side is not None and not self.side.open

    @property
    def patient(self) -> str:
        """Whose visit it is."""
        return self.page.visit.patient if self.page else self.side.patient if self.side else ""


def clinical(face: Face) -> ClinicianViews:
    """The same store, as clinicians read it."""
    return cast("ClinicianViews", face.views)


def short(key: str) -> str:
    """A question's name for addresses and anchors: its key holds the chart's ids, and those stand in no address.

    >>> short("reason:ChargeItem/7")
    'f485d2fb'
    """
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def visit_of(request: Request, here: Launched) -> str:
    """The visit that the EHR opened, or else the one that was chosen here; empty: none yet."""
    if here.encounter:
        return here.encounter
    found = launching_of(request).vault.get(f"chosen:{here.handle}")
    return found.decode() if found else ""


def choose(request: Request, here: Launched, encounter: str) -> None:
    """This visit is the one to show."""
    launching_of(request).vault.put(f"chosen:{here.handle}", encounter.encode(), seconds=CHOSEN_SECONDS)


def at_hand(face: Face, request: Request, here: Launched, encounter: str, *, again: bool = False) -> AtHand:
    """The visit as it stands now. Another patient's visit is not there."""
    mark = stamp_of(face, here, encounter)
    page = face.views.visit(encounter)
    if page is not None and page.visit.patient != here.patient:
        raise NotThere("This visit is not in this chart", fix="open it from its own patient's chart")
    asked = tuple(a.question for a in clinical(face).asked(encounter=encounter) if a.answer is None)
    answers = clinical(face).answers(encounter)
    found = AtHand(encounter=encounter, page=page, questions=asked, answered=tuple(answers), stamp=mark)
    stored = clinical(face).stored_visit(encounter) if page is not None else None
    site = face.settings.site
    if site is None or (page is not None and (stored is None or not found.stays)):
        return found
    try:
        resources, problems = (
            (stored, _problems(request, here, encounter, again=again))
            if stored is not None
            else _read(request, here, encounter, again=again)
        )
    except SessionOver:
        raise
    except BillingError as error:
        return replace(found, say=in_a_sentence(error))
    side = bedside(
        resources, site, encounter=encounter, answers=answers, asked=asked, evidence=problems, today=face.today()
    )  # fmt: skip
    return replace(found, side=side, questions=side.questions, answered=side.answered)


def in_a_sentence(error: BillingError) -> str:
    """What stands in the way of reading the chart, and what happens all the same."""
    if isinstance(error, ScopeMissing):
        return (
            "The EHR does not allow this page to read all that a bill needs, so what is missing cannot be shown before the visit "
            "is finished. Billing reads the visit by itself then."
        )
    if isinstance(error, NotNow):
        return "The chart does not answer just now. Nothing is lost: open this page again in a minute."
    return f"{error.say[:1].upper()}{error.say[1:].rstrip('.')}. Billing reads the visit by itself when it is finished."


def _read(request: Request, here: Launched, encounter: str, *, again: bool) -> tuple[list[Resource], list[Resource]]:
    """The visit and the patient's problems, as read within the last minute."""
    vault, key = launching_of(request).vault, f"chart:{here.handle}:{encounter}"
    kept = None if again else vault.get(key)
    if kept is not None:
        said = loads(kept)
        return said["visit"], said["problems"]
    chart = chart_of(request, here)
    visit = chart.gather(encounter)
    problems = _forgiven(chart.problems)
    vault.put(key, dumps({"visit": visit, "problems": problems}), seconds=FRESH_SECONDS)
    return visit, problems


def _problems(request: Request, here: Launched, encounter: str, *, again: bool) -> list[Resource]:
    """The patient's problems for a visit that the book has: answers rest on them, the bill does not."""
    vault, key = launching_of(request).vault, f"problems:{here.handle}"
    kept = None if again else vault.get(key)
    if kept is not None:
        found: list[Resource] = loads(kept)["problems"]
        return found
    problems = _forgiven(chart_of(request, here).problems)
    vault.put(key, dumps({"problems": problems}), seconds=FRESH_SECONDS)
    return problems


def _forgiven(read: Any) -> list[Resource]:
    """Evidence is welcome and not needed: where it cannot be read, questions have fewer answers to choose from."""
    try:
        found: list[Resource] = read()
    except SessionOver:
        raise
    except BillingError:
        return []
    return found


def drafts(drafted: DraftedVisit) -> list[ClaimPage]:
    """Claims that are only drafted, in the shape in which kept ones are shown."""
    return [_page(drafted, claim) for claim in drafted.claims]


def _page(drafted: DraftedVisit, claim: DraftedClaim) -> ClaimPage:
    payer = claim.claim.insurance[0].payer if claim.claim.insurance else None
    row = ClaimRow(
        number=claim.number,
        encounter=drafted.encounter,
        patient=drafted.patient,
        patient_name=drafted.patient_name,
        payer=payer.id if payer else "",
        payer_name=(payer.name or payer.id) if payer else "the payer",
        kind=str(claim.claim.kind),
        state=State.DRAFTED,
        charge=claim.claim.charge,
        served_on=drafted.served_on,
    )
    return ClaimPage(row=row, resource=claim.resource, bill=claim.claim)


def spoken_name(name: str) -> str:
    """A name as it is said.

    >>> spoken_name("Example-Lark, Opal"), spoken_name("Zztest")
    ('Opal Example-Lark', 'Zztest')
    """
    family, comma, given = name.partition(", ")
    return f"{given} {family}" if comma else family


def chart_said(answer: Answer) -> str:
    """Whether the chart holds the answer, in words."""
    if not decides(answer):  # words, a level, or that one cannot say: nothing that a chart could hold
        return "billing takes it from here"
    if answer.charted == "written":
        return "the chart has it"
    return (
        f"the bill has it, the chart does not: {answer.charted}" if answer.charted else "it is on its way to the chart"
    )


def open_ones(face: Face, here: Launched) -> list[AskedQuestion]:
    """What people asked and nobody answered: this practitioner, or about this patient."""
    views = clinical(face)
    found = list(views.asked(practitioner=here.practitioner)) if here.practitioner else []
    mine = {asked.question.key for asked in found}
    found += [a for a in views.asked(patient=here.patient) if a.question.key not in mine]
    return [a for a in found if a.answer is None]
