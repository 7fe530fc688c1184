"""Without the number on the card a payer does not know whom it insures.

Spec: NM1*IL NM109 (2010BA); Coverage.subscriberId.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("member-id-missing", fix_by=Owner.REGISTRATION)
def member_id(claim: Claim, context: Context) -> Iterator[Finding]:
    """Every coverage on the claim has a member id of 2 to 80 characters."""
    for number, insurance in enumerate(claim.insurance):
        if not 2 <= len(insurance.member_id.strip()) <= 80:
            yield blocking(
                "The coverage has no member id.",
                at=f"Claim.insurance[{number}].coverage",
                fix="Copy it from the insurance card.",
                resource=insurance.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    blocks(a_claim(insurance=(an_insurance(member_id=""),))),
    blocks(a_claim(insurance=(an_insurance(), an_insurance(rank="S", member_id=" ")))),
]
