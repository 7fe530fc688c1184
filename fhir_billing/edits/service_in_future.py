"""Nobody pays for what has not happened yet.

Spec: DTP*472 and DTP*434 not after the day of the claim (BHT04).
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("service-in-future", fix_by=Owner.CODER)
def service_in_future(claim: Claim, context: Context) -> Iterator[Finding]:
    """No service, and no end of the visit, is dated after today."""
    if claim.served_to and claim.served_to > context.today:
        yield blocking(
            f"The visit ends on {claim.served_to}, which is still to come.",
            at="Encounter.period.end",
            fix="Correct the period, or wait for that day.",
            resource=claim.encounter,
        )
    for line in claim.lines:
        day = line.served_to or line.served_from
        if day and day > context.today:
            yield blocking(
                f"Line {line.number} is dated {day}, which is still to come.",
                at=f"Claim.item[{line.number - 1}].servicedDate",
                fix="Correct the date.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim(served="2026-02-01"), today="2026-02-01"),
    blocks(a_claim(served="2026-02-02"), today="2026-02-01"),
    blocks(a_claim(lines=(a_line("2026-03-01"),)), today="2026-02-01"),
]
