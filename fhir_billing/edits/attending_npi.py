"""Someone answers for the whole stay: the attending provider, by an own number.

Spec: 837I 2310A NM1*71, required but for transport that was not scheduled.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.codes import is_npi
from fhir_billing.domain.examples import a_claim, a_clinician, a_hospital_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("attending-npi", fix_by=Owner.REGISTRATION)
def attending_npi(claim: Claim, context: Context) -> Iterator[Finding]:
    """A hospital bill names its attending provider with a right NPI."""
    if claim.kind is not ClaimKind.INSTITUTIONAL:
        return
    attending = claim.attending
    if attending is None or not attending.npi:
        say = "The hospital bill names no attending provider with an NPI."
    elif not is_npi(attending.npi):
        say = f"The attending provider's NPI {attending.npi} is not an NPI."
    else:
        return
    yield blocking(
        say,
        at="Encounter.participant",
        fix="Name the attending on the visit, and the NPI in the practitioner's record.",
        resource=attending.ref if attending else claim.encounter,
    )


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    blocks(a_hospital_claim(attending=None)),
    blocks(a_hospital_claim(attending=a_clinician(npi="99999"))),
]
