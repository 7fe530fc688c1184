"""What a hospital said by HL7 v2 is a doorbell: the visit that it names is found in the EHR and read there, and charges are kept.

The message is believed in one thing only, its charges, and only where the chart has none of its own. Charges are saved before
the visit is looked for, each under its own key and never over what a later message said, so that an answer that was broken
off is given again without harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fhir_billing.cycle.records import HeardRecord, Message
from fhir_billing.domain.errors import EhrBrokeContract, NotNow, NotThere, TheirContract
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.hl7 import charges, visits
from fhir_billing.hl7.acknowledge import ACCEPTED, judged
from fhir_billing.hl7.visits import VisitSeen
from fhir_billing.wiring import Wiring
from fhir_billing.worker.mllp import SAME_ID, key_of

Resource = dict[str, Any]
TRIES = 8
"""How often a visit is looked for, each time twice as late: about four minutes."""
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_RESERVED = re.compile(r"([\\,|$])")


class NotFoundYet(NotNow):
    """The chart does not show yet what the hospital said."""

    code = "visit-not-there-yet"


class VisitUnclear(TheirContract):
    """The visit number means no visit of the EHR, or several."""

    code = "visit-unclear"


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
    heard = charges.charges(message, seen.number, wiring.site.days.zone) if message.kind == "DFT" else ()
    before = _unmatched(wiring, seen.number)
    _save(wiring, bell, seen, heard)
    said = _visit(wiring, bell, seen, read)
    if lost := _unmatched(wiring, seen.number) - (before - {charge.key for charge in heard}):
        raise CreditUnmatched(
            f"{len(lost)} credits take away no charge that is known; {said}", fix="take them off the claim by hand"
        )
    return f"{len(heard)} charges kept; {said}" if heard else said


def _save(wiring: Wiring, bell: Message, seen: VisitSeen, heard: Sequence[charges.HeardCharge]) -> None:
    if not heard:
        return
    with wiring.store.begin() as book:
        for charge in heard:
            before = next((record for record in book.heard(seen.number) if record.key == charge.key), None)
            if before is not None and before.message > bell.id:
                continue
            resource = charges.replaced(charge.resource, loads(before.resource) if before else None)
            book.save_heard(
                HeardRecord(key=charge.key, visit=seen.number, resource=dumps(resource), at=bell.at, message=bell.id)
            )


def _unmatched(wiring: Wiring, number: str) -> set[str]:
    with wiring.store.looking() as book:
        kept = [loads(record.resource) for record in book.heard(number)]
    return {item["identifier"][0]["value"] for item in charges.standing(kept)[1]}


def _visit(wiring: Wiring, bell: Message, seen: VisitSeen, read: Callable[[str], str]) -> str:
    """Read the visit that is meant, when there is a reason to."""
    if wiring.ehr is None:
        return "no EHR is set up"
    last = bell.attempts >= TRIES
    found = _found(wiring, seen)
    if len(found) != 1:
        many = f"{len(found)} visits" if found else "no visit"
        if not last:
            raise NotFoundYet(f"the EHR has {many} of this number")
        raise VisitUnclear(
            f"the EHR has {many} of the number in PV1-19", fix="send the number that its FHIR API knows a visit by"
        )
    encounter = f"Encounter/{found[0].get('id', '')}"
    finished = found[0].get("status") == "finished"
    with wiring.store.looking() as book:
        known = book.visit(encounter) is not None
    if finished or known:
        return read(encounter)
    if seen.event in visits.CLOSED and not last:
        raise NotFoundYet("the hospital has closed this visit and the chart has not yet")
    return "the chart has not closed this visit; it is read when it does"


def _found(wiring: Wiring, seen: VisitSeen) -> list[Resource]:
    """The EHR's visits of this number: by identifier, else by id; several are narrowed by who gave the number."""
    chart = wiring.own_chart
    if chart is None:
        return []
    value = _RESERVED.sub(r"\\\1", seen.number)
    try:
        rows = [r for r in chart.search("Encounter", {"identifier": value}) if r.get("resourceType") == "Encounter"]
    except (NotThere, EhrBrokeContract):
        rows = []  # an EHR that does not search visits so
    rows = [r for r in rows if any(i.get("value") == seen.number for i in r.get("identifier") or ())]
    if len(rows) > 1 and seen.authority:
        oid = f"urn:oid:{seen.authority}"
        rows = [r for r in rows if any(i.get("system") == oid for i in r.get("identifier") or ())] or rows
    if rows or not _ID.fullmatch(seen.number):
        return rows
    try:
        return [chart.read(f"Encounter/{seen.number}")]
    except (NotThere, EhrBrokeContract):
        return []


def laid(wiring: Wiring, encounter: str, resources: list[Resource]) -> tuple[list[Resource], str]:
    """The visit with the charges that were heard of it, where its chart has none; and what to say of it."""
    visit = next((r for r in resources if f"{r.get('resourceType')}/{r.get('id')}" == encounter), {})
    numbers = dict.fromkeys([encounter.partition("/")[2], *_numbers(visit)])
    with wiring.store.looking() as book:
        kept = {record.key: record for number in numbers for record in book.heard(number)}
    items = charges.standing([loads(record.resource) for record in kept.values()])[0]
    if not items:
        return resources, ""
    if any(r.get("resourceType") == "ChargeItem" for r in resources):
        return resources, f"; its chart has charges, so the {len(items)} heard by HL7 v2 are not added"
    return charges.laid(resources, encounter, items), f" with {len(items)} charges heard by HL7 v2"


def _numbers(visit: Resource) -> list[str]:
    rows = visit.get("identifier")
    found = [row.get("value") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [value for value in found if isinstance(value, str)]
