"""An inpatient bill says why the patient came in, and of each diagnosis whether it came in too.

What arose in the hospital may not be paid, so payers ask; a bill without the answers is usually returned.
Spec: HI*ABJ admitting diagnosis; present on admission (Y N U W 1) in the last component of ABK and ABF.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind, Diagnosis
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

INPATIENT = {"11", "12", "18", "21", "41"}


@edit("inpatient-diagnoses", fix_by=Owner.CODER)
def inpatient_diagnoses(claim: Claim, context: Context) -> Iterator[Finding]:
    """An inpatient bill has an admitting diagnosis; a diagnosis without present-on-admission is worth a look."""
    if claim.kind is not ClaimKind.INSTITUTIONAL or claim.place not in INPATIENT or not claim.diagnoses:
        return
    if not any(diagnosis.kind == "admitting" for diagnosis in claim.diagnoses):
        yield blocking(
            "The inpatient bill has no admitting diagnosis.",
            at="Encounter.diagnosis.use",
            fix="Say with which diagnosis the patient was admitted.",
            resource=claim.encounter,
        )
    silent = [d for d in claim.diagnoses if d.kind in ("principal", "other") and not d.present_on_admission]
    if silent:
        yield warning(
            f"{len(silent)} of the diagnoses do not say whether they were present on admission.",
            at="Claim.diagnosis.onAdmission",
            fix="Y, N, U or W for each.",
            resource=silent[0].ref,
        )


_CAME_WITH = Diagnosis(sequence=1, code="K3580", kind="principal", present_on_admission="Y")

EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    passes(a_hospital_claim(place="13", diagnoses=(_CAME_WITH,))),
    blocks(a_hospital_claim(diagnoses=(_CAME_WITH,))),
]
