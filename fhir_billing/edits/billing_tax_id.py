"""Money is reported to the tax office under the number of whoever is paid, so the payer wants that number first.

Spec: 2010AA REF*EI or REF*SY, nine digits.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.codes import is_tax_id
from fhir_billing.domain.examples import a_claim, a_group
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("billing-tax-id", fix_by=Owner.SITE)
def billing_tax_id(claim: Claim, context: Context) -> Iterator[Finding]:
    """The billing provider has a tax id of nine digits."""
    given = claim.billing.tax_id
    if not is_tax_id(given) or set(given) <= set("0-"):
        yield blocking(
            f"The billing provider's tax id {given} is not nine digits."
            if given
            else "The billing provider has no tax id.",
            at="Organization.identifier",
            fix="Enter it in the site file (tax_id).",
            resource=claim.billing.ref,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(billing=a_group(tax_id="99-9999999"))),
    blocks(a_claim(billing=a_group(tax_id=""))),
    blocks(a_claim(billing=a_group(tax_id="12345"))),
]
