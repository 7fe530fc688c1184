"""The same service, on the same day, for the same patient, is paid once; the second claim only costs a denial.

A second visit of one day is told apart by a modifier (25, 59, 76, 77). A replacement is no duplicate of what it replaces.
Spec: CARC 18.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("duplicate-claim", fix_by=Owner.BILLER)
def duplicate_claim(claim: Claim, context: Context) -> Iterator[Finding]:
    """No earlier claim to this payer holds the same procedure with the same modifiers on the same day."""
    if claim.frequency is not Frequency.ORIGINAL:
        return
    billed = {
        (line.procedure, line.revenue_code, line.modifiers, line.served_from): other
        for other in context.earlier
        if _could_be_same(claim, other)
        for line in other.lines
    }
    for line in claim.lines:
        other = billed.get((line.procedure, line.revenue_code, line.modifiers, line.served_from))
        if other is not None:
            yield blocking(
                f"Line {line.number} ({line.procedure or line.revenue_code} on {line.served_from}) is on claim {other.id} already.",
                at=f"Claim.item[{line.number - 1}]",
                fix="Add the modifier that tells them apart, or withdraw one of the two.",
                resource=line.ref,
            )


def _could_be_same(claim: Claim, other: Claim) -> bool:
    return (
        other.patient.ref == claim.patient.ref
        and other.payer.id == claim.payer.id
        and other.encounter != claim.encounter
        and other.id not in (claim.id, claim.replaces)
        and other.frequency is not Frequency.VOID
        and other.billing.npi == claim.billing.npi
        and (other.rendering and other.rendering.npi) == (claim.rendering and claim.rendering.npi)
    )


_EARLIER = a_claim(id="C-EXAMPLE00009", encounter="Encounter/example-morning")

EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(), earlier=(a_claim(),)),
    passes(a_claim(served="2026-01-11"), earlier=(_EARLIER,)),
    passes(a_claim(lines=(a_line(modifiers=("25",)),)), earlier=(_EARLIER,)),
    passes(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="X1"), earlier=(_EARLIER,)),
    blocks(a_claim(), earlier=(_EARLIER,)),
]
