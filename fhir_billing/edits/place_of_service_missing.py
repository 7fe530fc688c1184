"""Where care was given decides what it costs: an office, a hospital's clinic and a home have different prices.

Spec: CLM05-1, two digits; SV105 only for a line that was elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

PLACE = re.compile(r"\d{2}")


@edit("place-of-service-missing", fix_by=Owner.CODER)
def place_of_service_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """A professional claim has a place of service of two digits."""
    if claim.kind is not ClaimKind.PROFESSIONAL:
        return
    if not PLACE.fullmatch(claim.place):
        yield blocking(
            f"The place of service is {claim.place or 'missing'}; it is two digits.",
            at="Encounter.class",
            fix="Add the visit's class or location to the table place-of-service.",
            resource=claim.encounter,
        )
    for line in claim.lines:
        if line.place and not PLACE.fullmatch(line.place):
            yield blocking(
                f"Line {line.number} has the place {line.place}; it is two digits.",
                at=f"Claim.item[{line.number - 1}].locationCodeableConcept",
                fix="Add the location to the table place-of-service.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line(place="22"),))),
    passes(a_hospital_claim(place="")),
    blocks(a_claim(place="")),
    blocks(a_claim(place="AMB")),
    blocks(a_claim(lines=(a_line(place="HOME"),))),
]
