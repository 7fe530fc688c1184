"""A visit ends: what its bill lacks is asked while whoever knows it is still there.

Spec: CDS Hooks library, encounter-discharge 1.0: userId, patientId, encounterId.
"""

from __future__ import annotations

from fhir_billing.cds import coverage, missing
from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import VISIT, Call, Hook


def cards(call: Call) -> list[Card]:
    """Each unanswered question of the visit's bill, what blocks it first, and a coverage that was over."""
    if not call.knows("encounter"):
        return []
    return [*missing.missing(call), *coverage.not_active(call, call.day())]


HOOK = Hook(
    id="billing-encounter-discharge",
    hook="encounter-discharge",
    title="Billing: what this visit still lacks",
    description="Asks what the visit's bill needs and the chart does not say, with answers that can be written at once.",
    needs=("userId", "patientId", "encounterId"),
    prefetch=VISIT,
    cards=cards,
)
