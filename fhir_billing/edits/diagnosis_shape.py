"""A diagnosis code names one thing or it names nothing: a letter, two more signs, and as many as the book gives.

Checked against the book of the service date when the site has loaded one; without it, by shape alone.
Spec: ICD-10-CM; HI01-2 without the dot. A cause of injury (V to Y) is never the first diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Diagnosis
from fhir_billing.domain.codes import icd10, is_icd10
from fhir_billing.domain.examples import a_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("diagnosis-shape", fix_by=Owner.CODER)
def diagnosis_shape(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each diagnosis is an ICD-10-CM code, and one that may be billed on that day."""
    for place, diagnosis in enumerate(claim.diagnoses):
        code, at = icd10(diagnosis.code), f"Claim.diagnosis[{place}].diagnosisCodeableConcept"
        if not is_icd10(code):
            yield blocking(
                f"{diagnosis.code or 'An empty code'} is not an ICD-10-CM code.",
                at=at,
                fix="Choose the code again, or add the chart's code to the site's diagnosis table.",
                resource=diagnosis.ref,
            )
        elif context.icd10_valid is not None and code not in context.icd10_valid:
            yield blocking(
                f"{code} could not be billed on the day of service: unknown then, or not specific enough.",
                at=at,
                fix="Choose a code of full length that was valid on that day.",
                resource=diagnosis.ref,
            )
        elif place == 0 and code[0] in "VWXY":
            yield blocking(
                f"{code} says how an injury came about; it cannot stand first.",
                at=at,
                fix="Put the injury itself first.",
                resource=diagnosis.ref,
            )


def _with(*codes: str) -> Claim:
    return a_claim(diagnoses=tuple(Diagnosis(sequence=i, code=code) for i, code in enumerate(codes, 1)))


EXAMPLES = [
    passes(_with("J069", "I10")),
    passes(_with("S134XXA", "V4352XA")),
    passes(_with("I10"), icd10_valid=frozenset({"I10"})),
    blocks(_with("SINUS")),
    blocks(_with("")),
    blocks(_with("I10", "J06"), icd10_valid=frozenset({"I10", "J069"})),
    blocks(_with("V4352XA")),
]
