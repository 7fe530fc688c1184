"""The same service of the same day, billed twice to the same payer, is denied as a duplicate at best.

Spec: CARC 18; modifiers tell a repeated service from a repeated claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

Service = tuple[str, str, tuple[str, ...], date | None]


@edit("duplicate-claim", fix_by=Owner.BILLER)
def duplicate_claim(claim: Claim, context: Context) -> Iterator[Finding]:
    """No other claim of this patient bills the same services of the same days to the same payer."""
    if claim.frequency is not Frequency.ORIGINAL or not claim.lines:
        return
    mine = _services(claim)
    for other in context.earlier:
        if other.id != claim.id and other.payer.id == claim.payer.id and mine <= _services(other):
            yield blocking(
                f"Claim {other.id} already bills these services.",
                at="Claim.item",
                fix="Withdraw one of the two, or add the modifier that says it was done again.",
                resource=claim.encounter,
            )


def _services(claim: Claim) -> set[Service]:
    return {(line.procedure, line.revenue_code, line.modifiers, line.served_from) for line in claim.lines}


TWIN = a_claim(id="C-EXAMPLE00009", encounter="Encounter/example-other")
EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(), earlier=(a_claim(),)),
    passes(a_claim(lines=(a_line(modifiers=("76",)),)), earlier=(TWIN,)),
    passes(a_claim(served="2026-01-11"), earlier=(TWIN,)),
    passes(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="EX1"), earlier=(TWIN,)),
    blocks(a_claim(), earlier=(TWIN,)),
]
