"""A closed visit is accounted for: billed, held, the patient's own to pay, or not billable; none vanishes.

A visit that was read again and has not changed does nothing. One that changed before its claim left is drafted anew; one
that changed after becomes a proposal (`cycle/late.py`) and is never changed silently.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any

from fhir_billing.cycle import late, reconcile
from fhir_billing.cycle.asked_text import load_answer
from fhir_billing.cycle.draft import DraftedClaim, DraftedVisit, draft_and_scrub
from fhir_billing.cycle.records import ClaimRecord, Kind, Message, Outcome, VisitRecord
from fhir_billing.cycle.turn import Result, Turn, as_rows
from fhir_billing.domain import posting
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.domain.lifecycle import Event, State
from fhir_billing.domain.money import Money, spoken
from fhir_billing.domain.question import Answer
from fhir_billing.fhir.amend import amend
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import dumps, loads

STILL_OURS = frozenset({State.DRAFTED, State.HELD, State.READY, State.REJECTED})
"""States in which a claim may be drafted anew: no payer is deciding it."""


def visited(turn: Turn) -> Result:
    """Draft, scrub and account for the visit in the message."""
    return _accounted(turn, turn.message)


def redraft(turn: Turn, encounter: str) -> None:
    """Draft a visit anew from what was last read of it, because a clinician answered; one that was never read waits."""
    known = turn.book.visit(encounter)
    message = turn.book.message(known.message) if known else None
    if message is not None and message.kind is Kind.VISIT:
        _accounted(turn, message)


def answers_on(turn: Turn, encounter: str) -> list[Answer]:
    """What clinicians have said of this visit; one taken back is among them, for the chart may hold it still."""
    found = [load_answer(record.answer) for record in turn.book.asked(encounter=encounter)]
    return [answer for answer in found if answer is not None]


def _accounted(turn: Turn, source: Message) -> Result:
    body = loads(source.body)
    if not isinstance(body, dict) or not isinstance(body.get("resources"), list):
        raise MalformedResource("this visit holds no resources", fix="read it from the EHR again")
    encounter = str(body.get("encounter", ""))
    earlier = _earlier(turn, body["resources"], encounter)
    drafted = draft_and_scrub(
        body["resources"],
        turn.site,
        encounter=encounter,
        earlier=earlier,
        answers=answers_on(turn, encounter),
        today=turn.today,
    )
    version, status = seen_of(body, encounter)
    if drafted is None:
        return _gone(turn, source, encounter, version, status)
    known = turn.book.visit(encounter)
    visit = replace(_record(source, drafted, known, str(body.get("found_by", ""))), version=version)
    if drafted.outcome == "self-pay" and any(map(late.has_left, turn.book.claims(encounter=encounter))):
        visit = replace(visit, outcome=known.outcome if known else "billed")  # a payer may still pay: a person decides
    else:
        wanted = visit.charge if drafted.outcome == "self-pay" else 0
        _ask_the_patient(turn, visit.number, visit.patient, known, wanted)
    was_gone = known is not None and known.outcome == "voided"
    changed_late = _claims(turn, source, drafted, was_gone=was_gone)
    turn.book.save_visit(replace(visit, changed_after_send=changed_late))
    reconcile.agrees(turn, encounter, f"Read again: {visit.outcome}")
    return Result(outcome=Outcome.DONE, say=f"{encounter}: {visit.outcome}", findings=as_rows(drafted.findings))


def seen_of(body: dict[str, Any], encounter: str) -> tuple[str, str]:
    """The chart's version and status of the visit among the resources that were read; empty for what is not said."""
    wanted = encounter.rpartition("/")[2]
    for resource in body["resources"]:
        if (
            not isinstance(resource, dict)
            or resource.get("resourceType") != "Encounter"
            or resource.get("id") != wanted
        ):
            continue
        meta = resource.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else ""
        return str(version or ""), str(resource.get("status") or "")
    return "", ""


def _earlier(turn: Turn, resources: list[dict[str, Any]], encounter: str) -> tuple[Claim, ...]:
    """This patient's other claims that still stand."""
    patients = [f"Patient/{r.get('id')}" for r in resources if r.get("resourceType") == "Patient"]
    return tuple(
        read_claim(loads(claim.resource))
        for patient in patients
        for claim in turn.book.claims(patient=patient)
        if claim.encounter != encounter and claim.state is not State.VOIDED
    )


def _record(source: Message, drafted: DraftedVisit, known: VisitRecord | None, found_by: str) -> VisitRecord:
    return VisitRecord(
        encounter=drafted.encounter,
        number=drafted.number,
        outcome=_outcome(drafted),
        found_by=known.found_by if known else found_by,
        patient=drafted.patient,
        patient_name=drafted.patient_name,
        patient_birth=drafted.patient_birth,
        served_on=drafted.served_on,
        what=drafted.what,
        practitioner=drafted.practitioner,
        charge=drafted.charge,
        digest=hashlib.sha256(source.body).hexdigest(),
        message=source.id,
        findings=as_rows(drafted.findings),
    )


def _outcome(drafted: DraftedVisit) -> str:
    if drafted.outcome != "claims":
        return drafted.outcome
    return "billed" if all(claim.is_ready for claim in drafted.claims) else "held"


def _ask_the_patient(turn: Turn, number: str, patient: str, known: VisitRecord | None, wanted: Money) -> None:
    """A visit without coverage is the patient's to pay, and one that is so no more is not; the difference is posted."""
    change = wanted - (known.charge if known and known.outcome == "self-pay" else 0)
    if not change:
        return
    journal = posting.patient_billed(visit=number, patient=patient, amount=change, on=turn.today)
    if any(one.key == journal.key for one in turn.book.journals(number)):
        journal = replace(journal, key=f"{journal.key}:{turn.message.sha256[:8]}")
    if change < 0:
        journal = replace(journal, because=f"Took back {spoken(-change)} of the patient's bill")
    turn.post(journal)
    if change < 0:
        turn.settle_patient(number, patient, f"{journal.key}:applied")


def _claims(turn: Turn, source: Message, drafted: DraftedVisit, *, was_gone: bool) -> bool:
    """Take every drafted claim into the book; whether something stands proposed for what has left."""
    stands = False
    known = {claim.number: claim for claim in turn.book.claims(encounter=drafted.encounter)}
    for made in drafted.claims:
        claim = _renumbered(made, known, was_gone=was_gone)
        before = known.pop(claim.number, None)
        if before is None:
            _new(turn, drafted, claim)
            continue
        claim.resource["created"] = loads(before.resource).get("created")  # a fact of the first build
        if late.has_left(before):
            stands = late.replacement(turn, before, claim.resource, source) or stands
            continue
        said_anew = turn.message.kind is Kind.ACT and as_rows(claim.findings) != tuple(before.findings)
        if before.state in STILL_OURS and (said_anew or dumps(claim.resource) != before.resource):
            _again(turn, before, drafted, claim)
    for number, before in known.items():
        if not _is_drafted_here(number, drafted.number):
            continue
        if before.state in STILL_OURS:
            turn.move(before, Event.WITHDRAW, "The visit no longer makes this claim")
        elif late.has_left(before):
            now = "billed as another claim" if drafted.claims else drafted.outcome
            row = {"at": "Claim", "what": "The claim", "was": "billed", "now": now}
            stands = late.void(turn, before, row, source) or stands
    return stands


def _is_drafted_here(number: str, visit: str) -> bool:
    """Whether a claim is one that the chart makes: the bill to another plan, for one, is made by a person."""
    return bool(re.fullmatch(rf"{re.escape(visit)}(-\d+)?(-A\d+)?", number))


def _renumbered(claim: DraftedClaim, known: dict[str, ClaimRecord], *, was_gone: bool) -> DraftedClaim:
    """A visit that comes back after its unsent claim was withdrawn is billed under the next number: a void is for good."""
    number, step = claim.number, 0
    while f"{claim.number}-A{step + 1}" in known:
        step += 1
        known.pop(number, None)
        number = f"{claim.number}-A{step}"
    before = known.get(number)
    if was_gone and before is not None and before.state is State.VOIDED:
        known.pop(number)
        number = f"{claim.number}-A{step + 1}"
    if number == claim.number:
        return claim
    amend(claim.resource, {"number": number})
    return replace(claim, number=number, claim=replace(claim.claim, id=number))


def _fields(turn: Turn, drafted: DraftedVisit, claim: DraftedClaim) -> dict[str, Any]:
    billed = claim.claim
    window = turn.site.payer(billed.payer.id).filing_window
    last = billed.last_service_date
    return {
        "payer": billed.payer.id,
        "payer_name": billed.payer.name,
        "kind": billed.kind.value,
        "charge": billed.charge,
        "member_id": billed.insurance[0].member_id,
        "rank": billed.insurance[0].rank,
        "resource": dumps(claim.resource),
        "served_on": billed.served_from,
        "mapping": claim.mapping,
        "findings": as_rows(claim.findings),
        "file_by": last + window if last else None,
        "patient_name": drafted.patient_name,
    }


def _new(turn: Turn, drafted: DraftedVisit, claim: DraftedClaim) -> None:
    record = turn.save(
        ClaimRecord(
            number=claim.number,
            encounter=drafted.encounter,
            patient=drafted.patient,
            state=State.DRAFTED,
            entered_at=turn.at,
            **_fields(turn, drafted, claim),
        )
    )
    turn.tell(record.number, "file", f"Read from the chart: {drafted.encounter}", who="EHR")
    _scrubbed(turn, record, claim)


def _again(turn: Turn, before: ClaimRecord, drafted: DraftedVisit, claim: DraftedClaim) -> None:
    """Draft anew what has not left for good."""
    because = "Drafted anew from the chart"
    if turn.message.kind is Kind.ACT:
        because = "Drafted anew with what the clinician said"
    else:
        turn.tell(before.number, "file", "The chart changed; read again", who="EHR")
    fields = _fields(turn, drafted, claim)
    if before.state is State.DRAFTED:
        record = turn.save(replace(before, **fields))
    else:
        record = turn.move(before, Event.CORRECT, because, **fields)
    _scrubbed(turn, record, claim)


def _scrubbed(turn: Turn, record: ClaimRecord, claim: DraftedClaim) -> None:
    for finding in claim.findings:
        turn.tell(record.number, "finding", f"{finding.say} [{finding.key}]")
    if claim.is_ready:
        turn.move(record, Event.SCRUB_CLEAN, "Clean: no edit holds it")
    else:
        first = next(f for f in claim.findings if f.is_blocking)
        turn.move(record, Event.SCRUB_FOUND, f"Held: {first.say}")


OPEN_AGAIN = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"})


def _gone(turn: Turn, source: Message, encounter: str, version: str, status: str) -> Result:
    """The visit is not finished any more: open again, cancelled, entered in error, or not in the chart."""
    known = turn.book.visit(encounter)
    stands = False
    row = {"at": "Encounter.status", "what": "The visit", "was": "finished", "now": status or "not in the chart"}
    for claim in turn.book.claims(encounter=encounter):
        if claim.state in STILL_OURS and status in OPEN_AGAIN:
            _wait(turn, claim)
        elif claim.state in STILL_OURS:
            turn.move(claim, Event.WITHDRAW, "The visit is not finished any more")
        elif late.has_left(claim):
            stands = late.void(turn, claim, row, source) or stands
    if known:
        _ask_the_patient(turn, known.number, known.patient, known, 0)
        gone = replace(known, outcome="voided", changed_after_send=stands, message=turn.message.id, version=version)
        turn.book.save_visit(gone)
    reconcile.agrees(turn, encounter, f"Read again: {status or 'not in the chart'}")
    return Result(outcome=Outcome.DONE, say=f"{encounter}: not finished, nothing to bill")


def _wait(turn: Turn, claim: ClaimRecord) -> None:
    """A claim that has not left waits for its visit to close again; it is drafted anew then."""
    finding = {
        "key": "visit-open", "severity": "blocking", "say": "The visit is open in the chart again", "at": "Encounter.status",
        "fix": "it is drafted anew when the visit closes", "fix_by": "clinician", "source": "chart",
        "resource": claim.encounter,
    }  # fmt: skip
    others = tuple(f for f in claim.findings if f.get("key") != finding["key"])
    if claim.state is State.READY:
        turn.move(claim, Event.HOLD, "Held: the visit is open in the chart again", findings=(finding, *others))
    else:
        turn.save(replace(claim, findings=(finding, *others)))
