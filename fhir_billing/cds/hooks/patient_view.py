"""A chart is opened: what billing waits for is said once, and nothing else interrupts.

Spec: CDS Hooks library, patient-view 1.0: userId, patientId, optional encounterId.
"""

from __future__ import annotations

from fhir_billing.cds import coverage, missing
from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import COVERAGES, PATIENT, Call, Hook


def cards(call: Call) -> list[Card]:
    """What a person of billing asked about this patient, and a coverage that is over."""
    return [*missing.asked(call), *coverage.not_active(call, call.today)]


HOOK = Hook(
    id="billing-patient-view",
    hook="patient-view",
    title="Billing: questions about this patient",
    description="Says what billing asked about this patient's visits, and when no coverage on file is active today.",
    needs=("userId", "patientId"),
    may=("encounterId",),
    prefetch={**PATIENT, **COVERAGES},
    cards=cards,
)
