"""A payer will not read a claim that arrives after its filing window has closed.

Spec: the window runs from the last service, from discharge for a stay; how long it is stands in the payer's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_payer
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

SOON = 15
"""Days left that are worth a warning."""


@edit("timely-filing", fix_by=Owner.BILLER)
def timely_filing(claim: Claim, context: Context) -> Iterator[Finding]:
    """The claim can still be filed."""
    last = claim.last_service_date
    if last is None or claim.frequency is not Frequency.ORIGINAL:
        return
    left = (last + context.payer.filing_window - context.today).days
    if left < 0:
        yield blocking(
            f"The filing window of {context.payer.id} closed {-left} days ago.",
            at="Claim.billablePeriod.end",
            fix="Ask the payer for an exception with proof of an earlier filing, or withdraw the claim with a reason.",
            resource=claim.encounter,
        )
    elif left < SOON:
        yield warning(
            f"{left} days are left to file with {context.payer.id}.",
            at="Claim.billablePeriod.end",
            fix="Send it today.",
            resource=claim.encounter,
        )


NINETY = a_payer(filing_window=timedelta(days=90))
EXAMPLES = [
    passes(a_claim(), today="2026-02-01"),
    passes(a_claim(), today="2026-04-10", payer=NINETY),
    passes(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="EX1"), today="2027-02-01"),
    blocks(a_claim(), today="2026-04-11", payer=NINETY),
    blocks(a_claim(served="2024-01-10"), today="2026-02-01"),
]
