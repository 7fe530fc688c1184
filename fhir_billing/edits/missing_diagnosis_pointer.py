"""Each service answers to a diagnosis: the line points into the claim's list, the weightiest first.

Spec: SV107, one to four pointers, the first required; a hospital bill has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("missing-diagnosis-pointer", fix_by=Owner.CODER)
def missing_diagnosis_pointer(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line points to one to four of the claim's diagnoses."""
    if claim.kind is not ClaimKind.PROFESSIONAL or not claim.diagnoses:
        return
    known = range(1, len(claim.diagnoses) + 1)
    for line in claim.lines:
        at = f"Claim.item[{line.number - 1}].diagnosisSequence"
        if not line.pointers:
            yield blocking(
                f"Line {line.number} points to no diagnosis.",
                at=at,
                fix="Say which diagnosis this service was for.",
                resource=line.ref,
            )
        elif strange := [pointer for pointer in line.pointers if pointer not in known]:
            yield blocking(
                f"Line {line.number} points to diagnosis {strange[0]}; the claim has {len(claim.diagnoses)}.",
                at=at,
                fix="Point to a diagnosis that the claim has.",
                resource=line.ref,
            )
        elif len(line.pointers) > 4 or len(set(line.pointers)) < len(line.pointers):
            yield blocking(
                f"Line {line.number} has more than four diagnoses, or one twice.",
                at=at,
                fix="Keep the four that matter most.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    blocks(a_claim(lines=(a_line(pointers=()),))),
    blocks(a_claim(lines=(a_line(pointers=(3,)),))),
    blocks(a_claim(lines=(a_line(pointers=(1, 1)),))),
]
