"""A file can be told without its format: what came, from whom, for which claims, with what sums.

The shape that `x12 read` prints. A file with an error tells its envelopes and its faults and nothing else, for what
was cut or edited on the way must not be taken for the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fhir_billing.domain.acknowledgment import ClaimStatus, InterchangeAcknowledgment, SetAcknowledgment
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.money import show, total
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, Remittance
from fhir_billing.x12 import read_835, read_837, read_acks
from fhir_billing.x12.envelope import MOST_COMPLAINTS, Reading, TransactionSet, read
from fhir_billing.x12.grammar import Complaint, Weight

Told = dict[str, Any]


def tell(name: str, data: bytes) -> tuple[Told, list[Complaint]]:
    """(the file as JSON, its complaints). With an error among them each `sets` is empty."""
    reading = read(data)
    complaints = list(reading.findings)
    told: dict[int, Told] = {}
    for one in reading.sets:
        facts, more = facts_of(one)
        told[id(one)] = facts
        if len(complaints) < MOST_COMPLAINTS:
            complaints.extend(more)
    refused = any(found.severity is Weight.ERROR for found in complaints)
    shown = {
        "file": name,
        "interchanges": _interchanges(reading, {} if refused else told),
        "findings": findings(complaints),
    }
    return shown, complaints


def _interchanges(reading: Reading, told: dict[int, Told]) -> list[Told]:
    return [
        {
            "control": interchange.control,
            "test": interchange.is_test,
            "groups": [
                {
                    "control": group.control,
                    "version": group.version,
                    "sets": [told[id(one)] for one in group.sets if id(one) in told],
                }
                for group in interchange.groups
            ],
            "acknowledgments": [acknowledgment(note) for note in read_acks.notes(interchange)],
        }
        for interchange in reading.interchanges
    ]


def findings(complaints: Iterable[Complaint]) -> list[Told]:
    """Complaints as JSON."""
    return [
        {
            "severity": found.severity.value, "segment": found.segment or None, "id": found.id or None, "element": found.element,
            "component": found.component, "offset": found.offset, "say": f"{found.say}; {found.fix}" if found.fix else found.say,
        }
        for found in complaints
    ]  # fmt: skip


def facts_of(one: TransactionSet) -> tuple[Told, list[Complaint]]:
    """One set with what it says, and what is wrong in it."""
    head: Told = {"control": one.control, "kind": one.kind, "version": one.version}
    if one.set_id == "835":
        remittance, complaints = read_835.decode(one)
        return head | remittance_facts(remittance), complaints + read_835.imbalances(one, remittance)
    if one.set_id in {"999", "997", "277"}:
        said, complaints = read_acks.decode(one)
        return head | {"acknowledgments": [acknowledgment(each) for each in said]}, complaints
    if one.kind in read_837.GUIDES:
        submission, complaints = read_837.decode(one)
        claims = [claim_facts(each) for each in submission.claims]
        sums = {"claims": len(claims), "charge": show(total(each.charge for each in submission.claims))}
        return head | {"claims": claims, "sums": sums}, complaints
    if one.set_id == "837":
        outlines, complaints = read_837.outline(one)
        listed = [{"id": each.claim, "charge": show(each.charge), "line_sum": show(each.lines)} for each in outlines]
        return head | {
            "claims": listed,
            "sums": {"claims": len(listed), "charge": show(total(o.charge for o in outlines))},
        }, complaints
    return head, []


# ---- 835 ----------------------------------------------------------------------------------------------------------


def remittance_facts(one: Remittance) -> Told:
    """An 835 set: who pays, how much, for which claims, and what is taken."""
    by_group: Counter[str] = Counter()
    for payment in one.claims:
        for adjustment in payment.all_adjustments():
            by_group[adjustment.group.value] += adjustment.amount
    return {
        "payer": one.payer_name, "payer_id": one.payer_id, "payee": one.payee_name, "payee_npi": one.payee_npi, "trace": one.trace,
        "paid": show(one.paid), "method": one.method, "handling": one.handling,
        "date": one.paid_on.isoformat() if one.paid_on else None, "digest": one.digest,
        "claims": [_payment(payment) for payment in one.claims],
        "provider_adjustments": [
            {"reason": taken.reason, "reference": taken.reference, "amount": show(taken.amount), "provider": taken.provider}
            for taken in one.provider_adjustments
        ],
        "sums": {
            "claims": len(one.claims), "lines": sum(len(payment.lines) for payment in one.claims),
            "charge": show(total(payment.charge for payment in one.claims)),
            "paid": show(total(payment.paid for payment in one.claims)),
            "adjustments": {group: show(amount) for group, amount in sorted(by_group.items())},
            "provider_adjustments": show(total(taken.amount for taken in one.provider_adjustments)),
        },
    }  # fmt: skip


def _payment(one: ClaimPayment) -> Told:
    return {
        "claim": one.claim, "status": one.status, "charge": show(one.charge), "paid": show(one.paid),
        "patient_share": show(one.patient_share), "icn": one.icn, "adjustments": _adjustments(one.adjustments),
        "lines": [_line(line) for line in one.lines], "remarks": list(one.remarks),
    }  # fmt: skip


def _line(one: LinePayment) -> Told:
    return {
        "procedure": one.procedure, "modifiers": list(one.modifiers), "charge": show(one.charge), "paid": show(one.paid),
        "date": one.served_on.isoformat() if one.served_on else None, "control": one.control,
        "adjustments": _adjustments(one.adjustments), "remarks": list(one.remarks),
    }  # fmt: skip


def _adjustments(found: Iterable[Adjustment]) -> list[Told]:
    return [{"group": one.group.value, "reason": one.reason, "amount": show(one.amount)} for one in found]


# ---- answers and bills --------------------------------------------------------------------------------------------


def acknowledgment(one: read_acks.Acknowledgment) -> Told:
    """TA1, one set of a 999, or one claim of a 277CA."""
    match one:
        case InterchangeAcknowledgment():
            return {"interchange": one.control, "code": one.code, "reason": one.reason, "reach": one.reach.value}
        case SetAcknowledgment():
            faults = [
                {"segment": f.segment, "position": f.position, "loop": f.loop, "element": f.element, "code": f.code}
                for f in one.faults
            ]
            return {
                "group": one.group_control, "set": one.set_control, "kind": one.kind, "code": one.code, "group_code": one.group_code,
                "reach": one.reach.value, "faults": faults,
            }  # fmt: skip
        case ClaimStatus():
            return {
                "claim": one.claim, "codes": [":".join(filter(None, (c.category, c.status, c.entity))) for c in one.codes],
                "reach": one.reach.value, "date": one.on.isoformat() if one.on else None,
                "charge": show(one.charge) if one.charge is not None else None, "icn": one.icn, "sender": one.sender,
            }  # fmt: skip


def claim_facts(one: read_837.SubmittedClaim) -> Told:
    """One claim of an 837, as sent."""
    claim = one.claim
    return {
        "id": claim.id, "charge": show(one.charge), "line_sum": show(claim.charge), "frequency": one.bill_type, "place": claim.place,
        "payer": claim.insurance[0].payer.name, "payer_id": claim.insurance[0].payer.id, "billing_npi": claim.billing.npi,
        "payer_icn": claim.payer_icn, "diagnoses": [diagnosis.code for diagnosis in claim.diagnoses],
        "lines": [
            {
                "number": line.number, "procedure": line.procedure, "modifiers": list(line.modifiers),
                "revenue_code": line.revenue_code, "charge": show(line.charge), "units": str(line.units),
                "pointers": list(line.pointers), "from": line.served_from.isoformat() if line.served_from else None,
                "to": line.served_to.isoformat() if line.served_to else None,
            }
            for line in claim.lines
        ],
    }  # fmt: skip
