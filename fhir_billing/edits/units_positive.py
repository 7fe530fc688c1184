"""A line counts something: units, minutes of anesthesia, or days; never nothing.

Spec: SV103 and SV104, SV204 and SV205; MJ only for anesthesia.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

UNITS = {"UN", "MJ", "DA"}


@edit("units-positive", fix_by=Owner.CODER)
def units_positive(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line counts more than zero of a unit that X12 knows; days and minutes are whole."""
    for line in claim.lines:
        whole = line.units == line.units.to_integral_value()
        if line.units <= 0:
            say = f"Line {line.number} counts {line.units:f}."
        elif line.unit not in UNITS:
            say = f"Line {line.number} counts in {line.unit or '(nothing)'}; X12 knows UN, MJ and DA."
        elif line.unit != "UN" and not whole:
            say = f"Line {line.number} counts {line.units:f} {line.unit}; minutes and days are whole."
        elif -int(line.units.normalize().as_tuple().exponent) > 3:
            say = f"Line {line.number} counts {line.units:f}; three decimals are the most."
        else:
            continue
        yield blocking(
            say,
            at=f"Claim.item[{line.number - 1}].quantity",
            fix="Correct the quantity.",
            resource=line.ref,
        )


def _of(units: str, unit: str = "UN") -> Claim:
    return a_claim(lines=(a_line(units=Decimal(units), unit=unit),))


EXAMPLES = [
    passes(a_claim()),
    passes(_of("2.5")),
    passes(_of("45", "MJ")),
    passes(_of("100.000")),
    blocks(_of("0")),
    blocks(_of("-1")),
    blocks(_of("2.5", "MJ")),
    blocks(_of("1", "ML")),
    blocks(_of("0.0001")),
]
