"""A replacement or a void that does not name the payer's own number of the first claim is a second claim.

Spec: CLM05-3 7 and 8 with REF*F8; some payers take neither (`takes_replacement: false`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fhir_billing.domain.claim import Claim, ClaimKind, Frequency
from fhir_billing.domain.examples import a_claim, a_payer
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("replacement-needs-icn", fix_by=Owner.BILLER)
def replacement_needs_icn(claim: Claim, context: Context) -> Iterator[Finding]:
    """A 7 or 8 carries the payer's number, and goes to a payer that takes it."""
    if claim.frequency not in {Frequency.REPLACEMENT, Frequency.VOID}:
        return
    if not claim.payer_icn:
        yield blocking(
            "The payer's number of the claim that this one replaces is missing.",
            at="Claim.related",
            fix="Wait for the payer's 277CA or 835, which bring it.",
            resource=claim.encounter,
        )
    if claim.kind is ClaimKind.PROFESSIONAL and not context.payer.takes_replacement:
        yield blocking(
            f"{context.payer.id} takes no replacement of a professional claim.",
            at="Claim.related",
            fix="Ask for a reopening, or appeal.",
            resource=claim.encounter,
        )


AGAIN = a_claim(frequency=Frequency.REPLACEMENT, payer_icn="EX77")
EXAMPLES = [
    passes(a_claim()),
    passes(AGAIN),
    blocks(replace(AGAIN, payer_icn="")),
    blocks(a_claim(frequency=Frequency.VOID)),
    blocks(AGAIN, payer=a_payer(takes_replacement=False)),
]
