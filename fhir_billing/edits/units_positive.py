"""Nothing is done zero times, and nobody is treated minus one time.

Spec: SV104, SV205: above zero; minutes (MJ) and days (DA) are whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

WHOLE = frozenset({"MJ", "DA"})


@edit("units-positive", fix_by=Owner.CODER)
def units_positive(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has a quantity above zero."""
    for line in claim.lines:
        broken = line.unit in WHOLE and line.units != line.units.to_integral_value()
        if line.units <= 0 or broken:
            yield blocking(
                f"Line {line.number} has a quantity of {line.units}.",
                at=f"Claim.item[{line.number - 1}].quantity",
                fix="Correct the quantity of the charge.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line(units=Decimal("1.5")),))),
    blocks(a_claim(lines=(a_line(units=Decimal(0)),))),
    blocks(a_claim(lines=(a_line(units=Decimal(-1)),))),
    blocks(a_claim(lines=(a_line(units=Decimal("12.5"), unit="MJ"),))),
]
