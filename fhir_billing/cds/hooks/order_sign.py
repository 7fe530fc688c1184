"""Orders are signed: the last moment in which a question to the payer costs nothing.

Spec: CDS Hooks library, order-sign 1.1: userId, patientId, draftOrders, optional encounterId.
"""

from __future__ import annotations

from fhir_billing.cds import coverage, ordered
from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import COVERAGES, PATIENT, PROBLEMS, Call, Hook


def cards(call: Call) -> list[Card]:
    """An authorization to ask for, an order without a reason, and a coverage that is over."""
    return [
        *ordered.authorization(call, call.today),
        *ordered.reason(call),
        *(coverage.not_active(call, call.today) if call.orders else ()),
    ]


HOOK = Hook(
    id="billing-order-sign",
    hook="order-sign",
    title="Billing: authorization for these orders",
    description="Says when the payer wants to be asked before a draft order, and asks why it is ordered when it does not say so.",
    needs=("userId", "patientId", "draftOrders"),
    may=("encounterId",),
    orders="draftOrders",
    prefetch={**PATIENT, **COVERAGES, **PROBLEMS},
    cards=cards,
)
