"""A claim holds so many diagnoses and lines and no more; what does not fit belongs on a second claim.

Spec: 837P twelve diagnoses and fifty lines; 837I twenty-five diagnoses and 999 lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind, Diagnosis
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

LIMITS = {ClaimKind.PROFESSIONAL: (12, 50), ClaimKind.INSTITUTIONAL: (25, 999)}


@edit("claim-too-long", fix_by=Owner.BILLER)
def claim_too_long(claim: Claim, context: Context) -> Iterator[Finding]:
    """The claim has no more diagnoses and lines than one claim may have."""
    most_diagnoses, most_lines = LIMITS[claim.kind]
    coded = [d for d in claim.diagnoses if d.kind in ("principal", "other")]
    for count, most, what, at in (
        (len(coded), most_diagnoses, "diagnoses", "Claim.diagnosis"),
        (len(claim.lines), most_lines, "lines", "Claim.item"),
    ):
        if count > most:
            yield blocking(
                f"The claim has {count} {what}; one claim holds {most}.",
                at=at,
                fix="Split it: the visit becomes claims -1 and -2.",
                resource=claim.encounter,
            )


EXAMPLES = [
    passes(a_claim(lines=tuple(a_line(number=i) for i in range(1, 51)))),
    blocks(a_claim(lines=tuple(a_line(number=i) for i in range(1, 52)))),
    blocks(a_claim(diagnoses=tuple(Diagnosis(sequence=i, code=f"M54{i:02}") for i in range(1, 14)))),
]
