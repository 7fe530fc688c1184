"""To correct a claim one must say which: by the number that the payer gave it, not by ours.

Spec: CLM05-3 7 and 8 with REF*F8. Some payers take no replacement at all (`takes_replacement: false`).
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_payer
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("replacement-needs-icn", fix_by=Owner.BILLER)
def replacement_needs_icn(claim: Claim, context: Context) -> Iterator[Finding]:
    """A replacement or void names the payer's own number of the claim, and the payer takes such claims."""
    if claim.frequency is Frequency.ORIGINAL:
        return
    if not claim.payer_icn:
        yield blocking(
            "The claim replaces or voids another, but the payer's number of that one is not known.",
            at="Claim.related.reference",
            fix="Take it from the payer's 277CA or 835, or ask for the claim's status.",
            resource=claim.encounter,
        )
    if not context.payer.takes_replacement:
        yield blocking(
            f"{context.payer.name or 'The payer'} takes no replacement claims.",
            at="Claim.related",
            fix="Withdraw this one; correct by phone, appeal, or a new claim.",
            resource=claim.encounter,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="EX123")),
    blocks(a_claim(frequency=Frequency.VOID)),
    blocks(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="EX123"), payer=a_payer(takes_replacement=False)),
]
