"""A payer pays nothing for a line that asks for nothing, and counts it as refused.

Codes that only report something may be free; a payer or site lists them under `free`.
Spec: SV102, SV203; CLM02 is their sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes
from fhir_billing.domain.money import show


@edit("zero-charge", fix_by=Owner.BILLER)
def zero_charge(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has a charge above zero."""
    listed = context.settings.get("free")
    free = {str(code) for code in listed} if isinstance(listed, list | tuple) else set()
    for line in claim.lines:
        if line.charge < 0 or (line.charge == 0 and line.procedure not in free):
            yield blocking(
                f"Line {line.number} ({line.procedure or line.revenue_code}) has a charge of {show(line.charge)}.",
                at=f"Claim.item[{line.number - 1}].net",
                fix="Price the code in the chargemaster, or correct the charge.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line(), a_line(number=2, procedure="1111F", charge=0))), settings={"free": ["1111F"]}),
    blocks(a_claim(lines=(a_line(charge=0),))),
    blocks(a_claim(lines=(a_line(charge=-100),))),
]
