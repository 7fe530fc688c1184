"""A visit begins: there is still time to ask for the new insurance card.

Spec: CDS Hooks library, encounter-start 1.0: userId, patientId, encounterId.
"""

from __future__ import annotations

from fhir_billing.cds import coverage, missing
from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import COVERAGES, ENCOUNTER, PATIENT, Call, Hook


def cards(call: Call) -> list[Card]:
    """A coverage that is over on the visit's day, and what was asked about earlier visits."""
    if not call.knows("encounter"):
        return []
    return [*coverage.not_active(call, call.day()), *missing.asked(call)]


HOOK = Hook(
    id="billing-encounter-start",
    hook="encounter-start",
    title="Billing: coverage on the day of the visit",
    description="Says when no coverage on file is active on the visit's day, and what billing asked about earlier visits.",
    needs=("userId", "patientId", "encounterId"),
    prefetch={**PATIENT, **ENCOUNTER, **COVERAGES},
    cards=cards,
)
