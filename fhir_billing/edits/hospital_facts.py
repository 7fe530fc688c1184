"""A hospital's bill tells of the stay: how it began, how it ended, who attended, and under which revenue code each line stands.

Spec: CL1, DTP*435 for inpatients, NM1*71, SV201 (four digits; the total line 0001 is not sent).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind, Stay
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

_REVENUE = re.compile(r"\d{4}", re.ASCII)


@edit("hospital-facts", fix_by=Owner.REGISTRATION)
def hospital_facts(claim: Claim, context: Context) -> Iterator[Finding]:
    """An institutional claim has what only a hospital knows."""
    if claim.kind is not ClaimKind.INSTITUTIONAL:
        return
    stay = claim.stay or Stay()
    for value, what, at in (
        (stay.admission_type, "how the patient was admitted", "Encounter.priority"),
        (stay.admission_source, "where the patient came from", "Encounter.hospitalization.admitSource"),
        (stay.patient_status, "how the patient left", "Encounter.hospitalization.dischargeDisposition"),
    ):
        if not value:
            yield blocking(
                f"The stay does not say {what}.",
                at=at,
                fix="Enter it in the EHR, or set the site's default.",
                resource=claim.encounter,
            )
    if claim.attending is None:
        yield blocking(
            "The stay names no attending provider.",
            at="Encounter.participant",
            fix="Add the attending provider to the visit.",
            resource=claim.encounter,
            fix_by=Owner.CODER,
        )
    for line in claim.lines:
        if not _REVENUE.fullmatch(line.revenue_code) or line.revenue_code == "0001":
            yield blocking(
                f"Line {line.number} has no revenue code.",
                at=f"Claim.item[{line.number - 1}].revenue",
                fix="Add it to the charge, or to the chargemaster.",
                resource=line.ref,
                fix_by=Owner.CODER,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    blocks(a_hospital_claim(stay=None)),
    blocks(a_hospital_claim(attending=None)),
    blocks(a_hospital_claim(lines=(a_line(revenue_code=""),))),
    blocks(a_hospital_claim(lines=(a_line(revenue_code="0001"),))),
]
