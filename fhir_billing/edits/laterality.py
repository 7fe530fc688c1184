"""A knee has two sides, and a bill for one of them says which.

Which services and diagnoses tell sides is the site's list: `laterality: {procedures: ["73560", "735*"], diagnoses: [M2556]}`.
A diagnosis is listed up to the sign that tells its side; 0 or 9 there means that nobody said.
Spec: modifiers RT, LT, 50, and those of eyelids, fingers and toes; ICD-10-CM guidelines I.B.13.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Diagnosis
from fhir_billing.domain.codes import icd10, on_list
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, listed, passes

SIDES = {
    "RT",
    "LT",
    "50",
    *(f"E{n}" for n in range(1, 5)),
    "FA",
    "TA",
    *(f"{f}{n}" for f in "FT" for n in range(1, 10)),
}


@edit("laterality", fix_by=Owner.CLINICIAN)
def laterality(claim: Claim, context: Context) -> Iterator[Finding]:
    """A service or diagnosis that has a side says which."""
    procedures, diagnoses = listed(context.settings, "procedures"), listed(context.settings, "diagnoses")
    for line in claim.lines:
        if on_list(line.procedure, procedures) and not SIDES.intersection(line.modifiers):
            yield blocking(
                f"Line {line.number} does not say on which side {line.procedure} was done.",
                at=f"Claim.item[{line.number - 1}].modifier",
                fix="Say right, left or both sides.",
                resource=line.ref,
            )
    for place, diagnosis in enumerate(claim.diagnoses):
        code = icd10(diagnosis.code)
        for start in (icd10(one) for one in diagnoses):
            if code.startswith(start) and code[len(start) : len(start) + 1] in {"0", "9"}:
                yield blocking(
                    f"{code} does not say which side.",
                    at=f"Claim.diagnosis[{place}].diagnosisCodeableConcept",
                    fix="Say right, left or both sides.",
                    resource=diagnosis.ref,
                )
                break


_KNEE = a_claim(lines=(a_line(procedure="73560"),))
_PAIN = a_claim(diagnoses=(Diagnosis(sequence=1, code="M25569"),))

EXAMPLES = [
    passes(_KNEE),
    passes(a_claim(lines=(a_line(procedure="73560", modifiers=("RT",)),)), settings={"procedures": ["73560"]}),
    passes(a_claim(diagnoses=(Diagnosis(sequence=1, code="M25561"),)), settings={"diagnoses": ["M2556"]}),
    blocks(_KNEE, settings={"procedures": ["73560"]}),
    blocks(_KNEE, settings={"procedures": ["735*"]}),
    blocks(_PAIN, settings={"diagnoses": ["M25.56"]}),
]
