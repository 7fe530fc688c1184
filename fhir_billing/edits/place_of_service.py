"""A bill says where the care was given, in two digits.

Spec: CLM05-1: place of service (837P), or the first two digits of the type of bill (837I).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("place-of-service-missing", fix_by=Owner.SITE)
def place_of_service(claim: Claim, context: Context) -> Iterator[Finding]:
    """The claim has a two-digit place."""
    if re.fullmatch(r"\d\d", claim.place, re.ASCII):
        return
    table = "bill-type" if claim.kind is ClaimKind.INSTITUTIONAL else "place-of-service"
    yield blocking(
        f"The claim says no place ({claim.place or 'none'}).",
        at="Encounter.class",
        fix=f"Add the visit's class to the site's table `{table}`.",
        resource=claim.encounter,
    )


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim(place="11")),
    blocks(a_claim(place="")),
    blocks(a_claim(place="clinic")),
]
