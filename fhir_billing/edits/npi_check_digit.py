"""A provider's number carries its own proof: ten digits whose last one checks the others.

Spec: NM109 with NM108 XX; Luhn over 80840 + NPI. A number that fails is refused at the gateway for the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.codes import is_npi
from fhir_billing.domain.examples import a_claim, a_clinician, a_group
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("npi-check-digit", fix_by=Owner.SITE)
def npi_check_digit(claim: Claim, context: Context) -> Iterator[Finding]:
    """Every NPI on the claim is ten digits with the right check digit; the biller has one."""
    if not claim.billing.npi:
        yield blocking(
            "The billing provider has no NPI.",
            at="Organization.identifier",
            fix="Enter the group's NPI in the site file or in the EHR.",
            resource=claim.billing.ref,
        )
    for role, party in (
        ("billing", claim.billing),
        ("rendering", claim.rendering),
        ("referring", claim.referring),
        ("supervising", claim.supervising),
        ("operating", claim.operating),
        ("facility", claim.facility),
    ):
        if party is not None and party.npi and not is_npi(party.npi):
            where = "Practitioner" if party.is_person else "Organization"
            yield blocking(
                f"The {role} provider's NPI {party.npi} is not an NPI.",
                at=f"{where}.identifier",
                fix="Look it up in the NPI registry; the last digit proves the others.",
                resource=party.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(rendering=None)),
    blocks(a_claim(billing=a_group(npi=""))),
    blocks(a_claim(billing=a_group(npi="1234567890"))),
    blocks(a_claim(rendering=a_clinician(npi="160"))),
]
