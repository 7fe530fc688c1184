"""A ClaimResponse says how far the conversation with the payer is; a denial is `complete`, only a rejection is `error`.

Spec: ClaimResponse.outcome, .disposition, .item.adjudication, .payment, .request.
"""

from __future__ import annotations

from typing import Any, Final

from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.adjudication import Decision, amounts, items, totals
from fhir_billing.fhir.ours import Resource, identifier, meta, usd, where

OUTCOME: Final[dict[State, str]] = {
    State.RECEIVED: "queued",
    State.REJECTED: "error",
    State.ACCEPTED: "queued",
    State.PENDED: "queued",
    State.QUERIED: "partial",
    State.PAID: "complete",
    State.DENIED: "complete",
    State.APPEALED: "complete",
    State.CLOSED: "complete",
}
"""States in which there is something to say of the payer's answer."""


def claim_response(
    claim: Resource,
    *,
    number: str,
    state: State,
    created: str,
    say: str,
    icn: str = "",
    decision: Decision | None = None,
) -> Resource:
    """The answer to `claim` (the FHIR Claim as sent). `created` is an ISO time, `say` a sentence without patient data."""
    resource: dict[str, Any] = {
        "resourceType": "ClaimResponse",
        "meta": meta(),
        "identifier": identifier(number),
        "status": "active",
        "type": claim["type"],
        "use": "claim",
        "patient": plain(claim["patient"]),
        "created": created,
        "insurer": insurer_of(claim),
        "request": {"reference": where("Claim", number)},
        "outcome": OUTCOME[state],
        "disposition": say,
    }
    if icn:
        resource["identifier"] = [*resource["identifier"], {"system": "urn:payer-claim-number", "value": icn}]
    if state is State.REJECTED:
        resource["error"] = [{"code": {"text": say}}]
    if decision:
        resource["total"] = totals(decision)
        if decision.lines:
            resource["item"] = items(decision.lines)
        if decision.adjustments:
            resource["adjudication"] = amounts(decision.charge, decision.paid, decision.adjustments)
        resource["payment"] = {
            "type": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/ex-paymenttype", "code": "complete"}]
            },
            "amount": usd(decision.paid),
            **({"date": decision.on} if decision.on else {}),
            **({"identifier": {"value": decision.trace}} if decision.trace else {}),
        }
    return resource


def plain(reference: Resource) -> Resource:
    """A reference without its extensions."""
    return {"reference": reference["reference"]}


def insurer_of(claim: Resource) -> Resource:
    """The payer as the chart knows it, else by name."""
    insurer = claim.get("insurer") or {}
    name = insurer.get("display")
    if str(insurer.get("reference", "")).startswith("#") or not insurer.get("reference"):
        return {"display": name or "the payer"}
    return {"reference": insurer["reference"], **({"display": name} if name else {})}
