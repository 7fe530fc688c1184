"""An ExplanationOfBenefit is the decided claim as the patient's plan explains it: what was billed, paid, and is theirs.

Spec: ExplanationOfBenefit.outcome, .item.adjudication, .total, .payment; the shape follows CARIN Blue Button where it can.
"""

from __future__ import annotations

from typing import Any

from fhir_billing.fhir.adjudication import DecidedLine, Decision, amounts, totals
from fhir_billing.fhir.claim_response import insurer_of, plain
from fhir_billing.fhir.ours import Resource, identifier, meta, usd, where


def explanation_of_benefit(claim: Resource, *, number: str, created: str, say: str, decision: Decision) -> Resource:
    """The decided claim. `claim` is the FHIR Claim as sent, `created` an ISO time."""
    focal = next(i for i in claim["insurance"] if i.get("focal"))
    resource: dict[str, Any] = {
        "resourceType": "ExplanationOfBenefit",
        "meta": meta(),
        "identifier": identifier(number),
        "status": "active",
        "type": claim["type"],
        "use": "claim",
        "patient": plain(claim["patient"]),
        "created": created,
        "insurer": insurer_of(claim),
        "provider": plain(claim["provider"]),
        "claim": {"reference": where("Claim", number)},
        "claimResponse": {"reference": where("ClaimResponse", number)},
        "outcome": "complete",
        "disposition": say,
        "insurance": [{"focal": True, "coverage": plain(focal["coverage"])}],
        "total": totals(decision),
        "payment": {"amount": usd(decision.paid), **({"date": decision.on} if decision.on else {})},
    }
    if claim.get("billablePeriod"):
        resource["billablePeriod"] = claim["billablePeriod"]
    by_sequence = {line.sequence: line for line in decision.lines}
    resource["item"] = [_item(item, by_sequence.get(item["sequence"])) for item in claim.get("item", [])]
    if not resource["item"]:
        del resource["item"]
    if decision.adjustments:
        resource["adjudication"] = amounts(decision.charge, decision.paid, decision.adjustments)
    return resource


def _item(item: Resource, line: DecidedLine | None) -> Resource:
    kept: Resource = {
        key: item[key]
        for key in ("sequence", "productOrService", "servicedDate", "servicedPeriod", "net")
        if key in item
    }
    if line is not None:
        kept["adjudication"] = amounts(line.charge, line.paid, line.adjustments, line.remarks)
    return kept
