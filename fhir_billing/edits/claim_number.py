"""The number we put on a claim is the only thread by which its answer finds home; payers give back twenty signs of it.

Spec: CLM01, at most 20 characters are guaranteed back; CLP01, 277CA TRN02.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

NUMBER = re.compile(r"[A-Z0-9][A-Z0-9-]{0,19}")


@edit("claim-number", fix_by=Owner.SITE)
def claim_number(claim: Claim, context: Context) -> Iterator[Finding]:
    """The claim's number has at most twenty capital letters, digits and hyphens."""
    if not NUMBER.fullmatch(claim.id):
        yield blocking(
            f"The claim number {claim.id[:40] or '(none)'} is not one to twenty of A-Z, 0-9 and hyphen.",
            at="Claim.identifier[0].value",
            fix="This is a fault of the mapping: tell who keeps it.",
            resource=claim.encounter,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(id="C-0123456789AB-R1-2")),
    blocks(a_claim(id="")),
    blocks(a_claim(id="C-0123456789ABCDEFGHIJ")),
    blocks(a_claim(id="c_1")),
]
