"""A payer pays for a reason; a visit without a diagnosis has none, and only the clinician can name it.

Spec: HI*ABK is required on every claim; Encounter.diagnosis, Condition.encounter.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Diagnosis
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("no-diagnosis", fix_by=Owner.CLINICIAN)
def no_diagnosis(claim: Claim, context: Context) -> Iterator[Finding]:
    """The visit has at least one diagnosis besides what the patient was admitted for."""
    if not any(diagnosis.kind in ("principal", "other") for diagnosis in claim.diagnoses):
        yield blocking(
            "The visit has no diagnosis.",
            at="Encounter.diagnosis",
            fix="Record the condition that was treated, on this visit.",
            resource=claim.encounter,
        )


EXAMPLES = [
    passes(a_claim()),
    blocks(a_claim(diagnoses=())),
    blocks(a_hospital_claim(diagnoses=(Diagnosis(sequence=1, code="R109", kind="admitting"),))),
]
