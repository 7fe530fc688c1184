"""A payer knows its members by number; a name alone finds nobody.

Spec: NM109 with NM108 MI in 2010BA and 2330A; Coverage.subscriberId, or the dependent's own number.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("member-id-missing", fix_by=Owner.REGISTRATION)
def member_id_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each coverage on the claim has a member number."""
    for place, insurance in enumerate(claim.insurance):
        if not insurance.member_id.strip():
            yield blocking(
                f"The coverage with {insurance.payer.name} has no member number.",
                at="Coverage.subscriberId",
                fix="Copy it from the insurance card.",
                resource=insurance.ref or f"Claim.insurance[{place}]",
            )


EXAMPLES = [
    passes(a_claim()),
    blocks(a_claim(insurance=(an_insurance(member_id=""),))),
    blocks(a_claim(insurance=(an_insurance(), an_insurance(rank="S", member_id=" ")))),
]
