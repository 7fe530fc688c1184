"""An order is chosen: what is chosen now is looked at, and nothing else on the list.

Spec: CDS Hooks library, order-select 1.0: userId, patientId, selections, draftOrders, optional encounterId.
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
    id="billing-order-select",
    hook="order-select",
    title="Billing: authorization for this order",
    description="Says when the payer wants to be asked before the selected order, and asks why it is ordered when it does not say so.",
    needs=("userId", "patientId", "selections", "draftOrders"),
    may=("encounterId",),
    orders="draftOrders",
    prefetch={**PATIENT, **COVERAGES, **PROBLEMS},
    cards=cards,
)
