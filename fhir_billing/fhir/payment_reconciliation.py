"""One payment of a payer pays many claims: a PaymentReconciliation is the payment, and a detail for each claim in it.

Spec: FHIR R4 PaymentReconciliation; detail.type from http://terminology.hl7.org/CodeSystem/payment-type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fhir_billing.domain.money import Money
from fhir_billing.fhir.ours import BASE, Resource, meta, usd, where

REMITTANCE: Final = f"{BASE}NamingSystem/remittance-number"
TYPE: Final = "http://terminology.hl7.org/CodeSystem/payment-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What the payment says of one claim; `claim` is empty when it is none of ours."""

    sequence: int
    claim: str
    amount: Money
    icn: str = ""


def payment_reconciliation(
    *, number: str, payer: str, trace: str, paid: Money, on: str, created: str, details: Iterable[Paid]
) -> Resource:
    """The payment with what it pays. `on` is an ISO date, `created` an ISO time."""
    resource: Resource = {
        "resourceType": "PaymentReconciliation",
        "meta": meta(),
        "identifier": [{"use": "official", "system": REMITTANCE, "value": number}],
        "status": "active",
        "created": created,
        "paymentIssuer": {"display": payer},
        "outcome": "complete",
        "paymentDate": on,
        "paymentAmount": usd(paid),
        "paymentIdentifier": {"value": trace},
    }
    if rows := [_detail(row, on) for row in details]:
        resource["detail"] = rows
    return resource


def _detail(row: Paid, on: str) -> Resource:
    ours: Resource = {}
    if row.claim:
        ours = {
            "request": {"reference": where("Claim", row.claim)},
            "response": {"reference": where("ClaimResponse", row.claim)},
        }
    return {
        "identifier": {"system": "urn:payer-claim-number", "value": row.icn}
        if row.icn
        else {"value": str(row.sequence)},
        "type": {"coding": [{"system": TYPE, "code": "payment"}]},
        **ours,
        "date": on,
        "amount": usd(row.amount),
    }
