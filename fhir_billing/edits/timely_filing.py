"""A payer will not read a claim that arrives after its filing window has closed.

The window runs from the last day of service, or from discharge; a rejected claim has lost its days.
Spec: by contract; for Medicare one calendar year from the day of service.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_payer
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

SOON = 15


@edit("timely-filing", fix_by=Owner.BILLER)
def timely_filing(claim: Claim, context: Context) -> Iterator[Finding]:
    """The payer's filing window is still open."""
    day = claim.last_service_date
    if day is None:
        return
    days_left = (day + context.payer.filing_window - context.today).days
    name = context.payer.name or claim.payer.name
    if days_left < 0:
        yield blocking(
            f"The filing window of {name} closed {_days(-days_left)} ago.",
            at="Claim.billablePeriod.end",
            fix="Show that it was sent in time, or write it off with a reason.",
            resource=claim.encounter,
        )
    elif days_left < SOON:
        yield warning(
            f"{_days(days_left)} left to file with {name}.",
            at="Claim.billablePeriod.end",
            fix="Send it first.",
            resource=claim.encounter,
        )


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


EXAMPLES = [
    passes(a_claim(served="2026-01-10"), today="2026-02-01"),
    passes(a_claim(served="2025-02-01"), today="2026-02-01"),
    blocks(a_claim(served="2025-01-31"), today="2026-02-01"),
    blocks(a_claim(), today="2026-05-11", payer=a_payer(filing_window=timedelta(days=120))),
]
