"""A hospital bill tells a stay: how the patient came, from where, and how the patient left.

Spec: CL1 (type, source, patient status), CLM05-1 facility type, DTP*435 for inpatients, SV201 on each line (no 0001 line).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from fhir_billing.domain.claim import Claim, ClaimKind, Stay
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

INPATIENT = {"11", "12", "18", "21", "41"}
"""Facility types whose patients are admitted."""
REVENUE = re.compile(r"(?!0001)\d{4}")


@edit("institutional-facts", fix_by=Owner.BILLER)
def institutional_facts(claim: Claim, context: Context) -> Iterator[Finding]:
    """A hospital bill has its facility type, admission type and source, patient status, statement period and revenue codes."""
    if claim.kind is not ClaimKind.INSTITUTIONAL:
        return
    stay = claim.stay or Stay()
    inpatient = claim.place in INPATIENT
    facts = (
        (re.fullmatch(r"\d{2}", claim.place), "type of bill", "Encounter.class"),
        (stay.admission_type, "admission type", "Encounter.priority"),
        (stay.admission_source, "admission source", "Encounter.hospitalization.admitSource"),
        (stay.patient_status, "patient status at the end", "Encounter.hospitalization.dischargeDisposition"),
        (claim.served_from and claim.served_to, "statement period", "Encounter.period"),
        (stay.admitted_at or not inpatient, "day and hour of admission", "Encounter.period.start"),
    )
    for given, name, at in facts:
        if not given:
            yield blocking(
                f"The hospital bill has no {name}.",
                at=at,
                fix="Enter it in the EHR, or give the site's mapping a default.",
                resource=claim.encounter,
            )
    for line in claim.lines:
        if not REVENUE.fullmatch(line.revenue_code):
            yield blocking(
                f"Line {line.number} has the revenue code {line.revenue_code or '(none)'}; it is four digits and not 0001.",
                at=f"Claim.item[{line.number - 1}].revenue",
                fix="Give the code one in the chargemaster.",
                resource=line.ref,
            )


_STAY = a_hospital_claim().stay or Stay()

EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    passes(a_hospital_claim(place="13", stay=replace(_STAY, admitted_at=None))),
    blocks(a_hospital_claim(stay=None)),
    blocks(a_hospital_claim(stay=replace(_STAY, patient_status=""))),
    blocks(a_hospital_claim(stay=replace(_STAY, admitted_at=None))),
    blocks(a_hospital_claim(lines=(a_line(procedure="", revenue_code=""),))),
    blocks(a_hospital_claim(lines=(a_line(procedure="", revenue_code="0001"),))),
]
