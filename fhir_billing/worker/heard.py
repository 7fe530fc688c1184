"""What a hospital said by HL7 v2 is a doorbell: the visit that it names is found in the EHR and read there, and charges are kept.

The message is believed in one thing only, its charges, and only where the chart has none of its own. They belong to the one
visit that the EHR shows for the message, and to no other that has the same number: an unclear number or another patient keeps
nothing. Each is saved under its own key and never over what a later message said, so that an answer that was broken off is
given again without harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from fhir_billing.cycle.records import HeardRecord, Message
from fhir_billing.domain.errors import EhrBrokeContract, NotNow, NotThere, TheirContract
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.hl7 import charges, visits
from fhir_billing.hl7.acknowledge import ACCEPTED, judged
from fhir_billing.hl7.message import V2Message
from fhir_billing.hl7.visits import VisitSeen
from fhir_billing.wiring import Wiring
from fhir_billing.worker.mllp import CHANNEL, SAME_ID, key_of

Resource = dict[str, Any]
Number = tuple[str, str]
TRIES = 8
"""How often a visit is looked for, each time twice as late: about four minutes."""
FOREVER = timedelta(days=400)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PATIENT = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")
_RESERVED = re.compile(r"([\\,|$])")


class NotFoundYet(NotNow):
    """The chart does not show yet what the hospital said."""

    code = "visit-not-there-yet"


class VisitUnclear(TheirContract):
    """The visit number means no visit of the EHR, or several."""

    code = "visit-unclear"


class AnotherPatient(TheirContract):
    """The visit that the number means is not the visit of the patient that the message names."""

    code = "another-patient"


class CreditUnmatched(TheirContract):
    """A credit takes away no charge that is known."""

    code = "credit-unmatched"


def answer(wiring: Wiring, bell: Message, read: Callable[[str], str]) -> str:
    """Do what a message asks for; `read` reads a visit of the EHR and keeps it. Raises NotNow, or what a person must see."""
    message, verdict = judged(bell.body, test=wiring.site.test)
    if message is None or verdict.code != ACCEPTED:
        raise TheirContract(verdict.say, fix="correct it where it was sent from")
    if bell.key != key_of(message, bell.body) and not bell.attempts:
        raise TheirContract(SAME_ID, fix="retry it when the sender's numbers have begun anew")
    if message.kind == "ADT" and message.event not in visits.HEEDED:
        return f"{message.event} says nothing about a closed visit"
    seen = visits.visit(message)
    posts = message.kind == "DFT" and bool(charges.charges(message, seen.number))
    if wiring.ehr is None:
        if posts:
            raise VisitUnclear("no EHR is set up in which the visit can be found", fix="set up the EHR, then retry it")
        return "no EHR is set up"
    found = _meant(wiring, bell, seen)
    if not posts:
        return _read(wiring, bell, seen, found, read)
    _check_patient(wiring, seen, found)
    return _posted(wiring, bell, seen, found, message, read)


def _posted(
    wiring: Wiring, bell: Message, seen: VisitSeen, found: Resource, message: V2Message, read: Callable[[str], str]
) -> str:
    """Keep the charges of a message for the visit that was found, and read it."""
    encounter = _reference(found)
    heard = charges.charges(message, encounter, wiring.site.days.zone)
    own = {charge.key for charge in heard}
    before = _unmatched(wiring, encounter)
    _save(wiring, bell, encounter, heard)
    said = _read(wiring, bell, seen, found, read)
    if lost := _unmatched(wiring, encounter) - (before - own):
        if lost <= own and bell.attempts < TRIES and _waits_before(wiring, bell):
            raise NotFoundYet("a credit takes away no charge that is known yet")
        raise CreditUnmatched(
            f"{len(lost)} credits take away no charge that is known; {said}", fix="take them off the claim by hand"
        )
    return f"{len(heard)} charges kept; {said}"


def _save(wiring: Wiring, bell: Message, encounter: str, heard: Sequence[charges.HeardCharge]) -> None:
    with wiring.store.begin() as book:
        for charge in heard:
            before = next((record for record in book.heard(encounter) if record.key == charge.key), None)
            known = loads(before.resource) if before else None
            resource, last = charges.replaced(charge.resource, known), bell.id
            if before is not None and known is not None and before.message > bell.id:
                resource, last = charges.replaced(known, charge.resource), before.message
            book.save_heard(
                HeardRecord(key=charge.key, visit=encounter, resource=dumps(resource), at=bell.at, message=last)
            )


def _unmatched(wiring: Wiring, encounter: str) -> set[str]:
    with wiring.store.looking() as book:
        kept = [loads(record.resource) for record in book.heard(encounter)]
    return {item["identifier"][0]["value"] for item in charges.standing(kept)[1]}


def _waits_before(wiring: Wiring, bell: Message) -> bool:
    """Whether an earlier message, which may bring the charge, is not worked yet."""
    waiting = wiring.store.doorbells(wiring.clock.now() + FOREVER)
    return any(other.channel == CHANNEL and other.id < bell.id for other in waiting)


def _meant(wiring: Wiring, bell: Message, seen: VisitSeen) -> Resource:
    """The one visit of the EHR that a message is about. Raises NotFoundYet, and VisitUnclear in the end."""
    found = _found(wiring, seen)
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} visits" if found else "no visit"
    if bell.attempts < TRIES:
        raise NotFoundYet(f"the EHR has {many} of this number")
    raise VisitUnclear(
        f"the EHR has {many} of the number in PV1-19", fix="send the number that its FHIR API knows a visit by"
    )


def _read(wiring: Wiring, bell: Message, seen: VisitSeen, found: Resource, read: Callable[[str], str]) -> str:
    """Read the visit that is meant, when there is a reason to."""
    encounter = _reference(found)
    with wiring.store.looking() as book:
        known = book.visit(encounter) is not None
    if found.get("status") == "finished" or known:
        return read(encounter)
    if seen.event in visits.CLOSED and bell.attempts < TRIES:
        raise NotFoundYet("the hospital has closed this visit and the chart has not yet")
    return "the chart has not closed this visit; it is read when it does"


def _found(wiring: Wiring, seen: VisitSeen) -> list[Resource]:
    """The EHR's visits of this number: by identifier of who gave it; by id only where nobody is said and no identifier is so."""
    chart = wiring.own_chart
    if chart is None:
        return []
    value = _RESERVED.sub(r"\\\1", seen.number)
    try:
        rows = [r for r in chart.search("Encounter", {"identifier": value}) if r.get("resourceType") == "Encounter"]
    except (NotThere, EhrBrokeContract):
        rows = []  # an EHR that does not search visits so
    if seen.authority:
        return _numbered(rows, (seen.authority, seen.number)) or _numbered(rows, ("", seen.number))
    rows = [r for r in rows if _named(r, seen)]
    if rows or not _ID.fullmatch(seen.number):
        return rows
    try:
        return [chart.read(f"Encounter/{seen.number}")]
    except (NotThere, EhrBrokeContract):
        return []


def _numbered(rows: Sequence[Resource], number: Number) -> list[Resource]:
    return [row for row in rows if number in _numbers(row.get("identifier"))]


def _named(visit: Resource, seen: VisitSeen) -> bool:
    """Whether an identifier of a visit is the number, whoever gave it."""
    return any(value == seen.number for _, value in _numbers(visit.get("identifier")))


def _check_patient(wiring: Wiring, seen: VisitSeen, found: Resource) -> None:
    """Raises AnotherPatient where both sides say whose visit it is and differ; an id alone needs both to say so."""
    subject = found.get("subject")
    known = _patient(wiring, subject if isinstance(subject, dict) else {})
    if visits.another_patient(seen.patients, known):
        raise AnotherPatient(
            "the visit of the number in PV1-19 is another patient's than PID-3 says", fix="correct one of the two"
        )
    if not _named(found, seen) and not visits.same_patient(seen.patients, known):
        raise AnotherPatient(
            "PV1-19 is the id of a visit, and PID-3 no number of its patient",
            fix="send a visit number that its FHIR API has as an identifier, or the patient's number there",
        )


def _patient(wiring: Wiring, subject: Resource) -> list[Number]:
    """What the EHR knows a visit's patient by: identifiers, and its own id."""
    reference, numbers = subject.get("reference"), _numbers([subject.get("identifier")])
    base = f"{wiring.settings.ehr_url.rstrip('/')}/"
    match = _PATIENT.fullmatch(reference.removeprefix(base)) if isinstance(reference, str) else None
    chart = wiring.own_chart
    if chart is None or match is None:
        return numbers
    try:
        return [*numbers, *_numbers(chart.read(f"Patient/{match[1]}").get("identifier")), ("", match[1])]
    except (NotThere, EhrBrokeContract):
        return numbers


def laid(wiring: Wiring, encounter: str, resources: list[Resource]) -> tuple[list[Resource], str]:
    """The visit with the charges that were heard of it, where its chart has none; and what to say of it."""
    with wiring.store.looking() as book:
        kept = book.heard(encounter)
    items = charges.standing([loads(record.resource) for record in kept])[0]
    if not items:
        return resources, ""
    if any(r.get("resourceType") == "ChargeItem" for r in resources):
        return resources, f"; its chart has charges, so the {len(items)} heard by HL7 v2 are not added"
    return charges.laid(resources, encounter, items), f" with {len(items)} charges heard by HL7 v2"


def _reference(visit: Resource) -> str:
    return f"Encounter/{visit.get('id', '')}"


def _numbers(identifiers: object) -> list[Number]:
    """System and value of each identifier that a chart has; no system is an empty one."""
    rows = [row for row in identifiers if isinstance(row, dict)] if isinstance(identifiers, list) else []
    return [(str(row.get("system") or ""), row["value"]) for row in rows if isinstance(row.get("value"), str)]
