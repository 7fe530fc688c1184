"""The clinical record hears of every change: Task always, Claim when it leaves, ClaimResponse and EOB when the payer answers.

What a message touched is built at the end of its turn and stored in the outbox; the latest state of a claim wins.
"""

from __future__ import annotations

from typing import Any, Final

from fhir_billing.cycle.records import ClaimRecord
from fhir_billing.cycle.remittance_text import load_remittance
from fhir_billing.cycle.sums import patient_share
from fhir_billing.cycle.turn import Turn
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.lifecycle import OWNERS, State, WhoActs
from fhir_billing.domain.money import show
from fhir_billing.fhir.adjudication import DecidedLine, Decision
from fhir_billing.fhir.claim_response import OUTCOME, claim_response
from fhir_billing.fhir.explanation_of_benefit import explanation_of_benefit
from fhir_billing.fhir.ours import identifier, meta
from fhir_billing.fhir.task import STATUS, task
from fhir_billing.fhir.text import dumps, loads


def queue_touched(turn: Turn) -> None:
    """Queue the write-back of every claim that this message touched."""
    for number in turn.touched:
        claim = turn.book.claim(number)
        if claim is None:
            continue
        body = dumps({"claim": number, "resources": resources(turn, claim), "visit": visit_told(turn, claim.encounter)})
        turn.book.queue(
            kind="write-back",
            key=f"write-back:{number}:{turn.message.kind}:{turn.message.key}",
            destination="ehr",
            body=body,
            at=turn.at,
            claim=number,
        )


OVER = frozenset({State.CLOSED, State.VOIDED})
NEXT: Final[dict[WhoActs, str]] = {
    WhoActs.SYSTEM: "it goes on by itself",
    WhoActs.BILLER: "a biller acts",
    WhoActs.PAYER: "the payer answers",
    WhoActs.NOBODY: "nothing",
}


def visit_told(turn: Turn, encounter: str) -> dict[str, Any]:
    """The whole visit in words, for what a person reads in the chart: one row for each claim, sums as written."""
    visit = turn.book.visit(encounter)
    claims = turn.book.claims(encounter=encounter)
    rows = [_row(turn, claim) for claim in claims]
    changed = max((c.entered_at for c in claims if c.entered_at), default=turn.at)
    return {
        "encounter": encounter,
        "number": visit.number if visit else (claims[0].number if claims else ""),
        "patient": visit.patient if visit else (claims[0].patient if claims else ""),
        "served_on": visit.served_on.isoformat() if visit and visit.served_on else "",
        "what": visit.what if visit else "",
        "changed": changed.isoformat(timespec="seconds"),
        "over": bool(claims) and all(claim.state in OVER for claim in claims),
        "rows": rows,
    }


def _row(turn: Turn, claim: ClaimRecord) -> dict[str, str]:
    payments = turn.book.payments(claim.number)
    due = f" by {claim.due.isoformat()}" if claim.due else ""
    return {
        "number": claim.number,
        "payer": claim.payer_name,
        "status": STATUS[claim.state][2],
        "charge": show(claim.charge),
        "paid": show(sum(payment.paid for payment in payments)),
        "patient": show(patient_share(payments)),
        "next": f"{NEXT[OWNERS[claim.state]]}{due}",
    }


def resources(turn: Turn, claim: ClaimRecord) -> list[dict[str, Any]]:
    """What the chart should hold of this claim, in the order in which it must be written."""
    written = claim.attempt > 0
    since = (claim.entered_at or turn.at).isoformat(timespec="seconds")
    words = STATUS[claim.state][2]
    found: list[dict[str, Any]] = []
    sent = loads(claim.resource)
    if written:
        found.append(_claim_as_sent(sent, claim))
    if written and claim.state in OUTCOME:
        decision = decided(turn, claim)
        say = f"{claim.payer_name}: {words}"
        found.append(
            claim_response(
                sent, number=claim.number, state=claim.state, created=since, say=say, icn=claim.icn, decision=decision
            )
        )
        if decision:
            found.append(explanation_of_benefit(sent, number=claim.number, created=since, say=say, decision=decision))
    why = (
        str(claim.findings[0]["say"])
        if claim.findings and claim.state in {State.HELD, State.REJECTED, State.DENIED}
        else ""
    )
    found.append(
        task(
            number=claim.number,
            state=claim.state,
            patient=claim.patient,
            encounter=claim.encounter,
            since=since,
            why=why,
            claim_is_written=written,
        )
    )
    return found


def _claim_as_sent(sent: dict[str, Any], claim: ClaimRecord) -> dict[str, Any]:
    others = [i for i in sent.get("identifier", []) if i.get("value") != claim.number]
    status = "cancelled" if claim.state is State.VOIDED else "active"
    kept = {key: value for key, value in sent.items() if key not in {"id", "meta"}}
    return {**kept, "meta": meta(), "identifier": [*identifier(claim.number), *others], "status": status}


def decided(turn: Turn, claim: ClaimRecord) -> Decision | None:
    """What the payer's remittances come to, reversals netted; None when none has been posted."""
    payments = turn.book.payments(claim.number)
    if not payments:
        return None
    last = payments[-1]
    record = next(iter(turn.book.remittances(number=last.remittance)), None)
    content = load_remittance(record.content) if record and record.content else {}
    said = content.get("claims", [])[last.sequence] if len(content.get("claims", [])) > last.sequence else {}
    lines = () if last.status == "22" else _lines(said)
    return Decision(
        charge=last.charge if last.status != "22" else 0,
        paid=sum(payment.paid for payment in payments),
        patient=patient_share(payments),
        lines=lines,
        adjustments=() if last.status == "22" else _adjustments(said.get("adjustments", [])),
        icn=claim.icn,
        on=record.paid_on.isoformat() if record and record.paid_on else "",
        trace=record.trace if record else "",
    )


def _lines(said: dict[str, Any]) -> tuple[DecidedLine, ...]:
    found = []
    for position, line in enumerate(said.get("lines", []), 1):
        control = str(line.get("control", ""))
        found.append(
            DecidedLine(
                sequence=int(control) if control.isdigit() else position,
                charge=int(line["charge"]),
                paid=int(line["paid"]),
                adjustments=_adjustments(line.get("adjustments", [])),
                remarks=tuple(line.get("remarks", ())),
            )
        )
    return tuple(found)


def _adjustments(rows: list[dict[str, Any]]) -> tuple[Adjustment, ...]:
    return tuple(Adjustment(group=Group(r["group"]), reason=str(r["reason"]), amount=int(r["amount"])) for r in rows)
