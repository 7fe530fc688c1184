"""A claim is a letter, and a letter needs an address: each payer has one number at the clearinghouse.

Spec: NM1*PR NM108 PI NM109; SBR09.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Payer
from fhir_billing.domain.examples import a_claim, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("payer-missing", fix_by=Owner.SITE)
def payer_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each payer on the claim has a number that the clearinghouse knows."""
    for place, insurance in enumerate(claim.insurance):
        if not insurance.payer.id.strip():
            yield blocking(
                f"{insurance.payer.name or 'The payer'} has no payer number here.",
                at=f"Claim.insurance[{place}].coverage",
                fix="Write a file for it in mappings/payers, or in the site's folder.",
                resource=insurance.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    blocks(a_claim(insurance=(an_insurance(payer=Payer(id="", name="Example Unknown")),))),
]
