"""A payer prices by where the care was given, down to the nine-digit ZIP, and pays no one who lives in a post-office box.

Spec: 2010AA N3 is a street (a P.O. box belongs to the pay-to loop 2010AB), N403 nine digits; 2310C and 2310E the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.codes import zip_digits
from fhir_billing.domain.examples import a_claim, a_group, an_address
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

BOX = re.compile(r"\b(P\.?\s*O\.?\s*BOX|POST OFFICE BOX|LOCK ?BOX)\b", re.IGNORECASE)


@edit("provider-zip", fix_by=Owner.SITE)
def provider_zip(claim: Claim, context: Context) -> Iterator[Finding]:
    """Billing provider and facility have a street address with a nine-digit ZIP."""
    for role, party in (("billing provider", claim.billing), ("service facility", claim.facility)):
        if party is None:
            continue
        if len(zip_digits(party.address.zip)) != 9:
            yield blocking(
                f"The {role}'s ZIP code {party.address.zip or '(none)'} is not nine digits.",
                at="Organization.address.postalCode",
                fix="Enter ZIP and plus-four in the site file or in the EHR.",
                resource=party.ref,
            )
        if not any(party.address.lines):
            yield blocking(
                f"The {role} has no street.", at="Organization.address.line", fix="Enter it.", resource=party.ref
            )
        elif any(BOX.search(line) for line in party.address.lines):
            yield blocking(
                f"The {role}'s street is a post-office box.",
                at="Organization.address.line",
                fix="Give the street here; a box may stand as the pay-to address.",
                resource=party.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(pay_to=an_address(lines=("PO Box 100",)))),
    blocks(a_claim(billing=a_group(address=an_address(zip="99999")))),
    blocks(a_claim(billing=a_group(address=an_address(lines=("P.O. Box 100",))))),
    blocks(a_claim(facility=a_group(address=an_address(zip="")))),
]
