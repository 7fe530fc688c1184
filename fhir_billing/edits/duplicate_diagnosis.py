"""A diagnosis said twice is refused, for the order of the list is what tells how much each one matters.

Spec: HI*ABK and HI*ABF; the admitting diagnosis and the reason for a visit may repeat the principal one.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Diagnosis
from fhir_billing.domain.codes import icd10
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("duplicate-diagnosis", fix_by=Owner.CODER)
def duplicate_diagnosis(claim: Claim, context: Context) -> Iterator[Finding]:
    """No diagnosis stands twice among the principal and the others."""
    seen: set[str] = set()
    for place, diagnosis in enumerate(claim.diagnoses):
        if diagnosis.kind not in ("principal", "other"):
            continue
        code = icd10(diagnosis.code)
        if code in seen:
            yield blocking(
                f"The diagnosis {code} stands twice.",
                at=f"Claim.diagnosis[{place}]",
                fix="Keep the first, and point its lines there.",
                resource=diagnosis.ref,
            )
        seen.add(code)


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    blocks(a_claim(diagnoses=(Diagnosis(sequence=1, code="I10"), Diagnosis(sequence=2, code="I10")))),
]
