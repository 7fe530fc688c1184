"""A drug is billed by its code and by what was in the vial: eleven digits, a quantity, a unit.

Spec: LIN**N4 with eleven digits (5-4-2, padded, no hyphens), CTP04 and CTP05 (UN ML GR ME F2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from fhir_billing.domain.claim import Claim, Drug
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

NDC = re.compile(r"\d{11}")
UNITS = {"UN", "ML", "GR", "ME", "F2"}


@edit("ndc-digits", fix_by=Owner.CODER)
def ndc_digits(claim: Claim, context: Context) -> Iterator[Finding]:
    """A drug has an eleven-digit NDC, a quantity above zero and a unit that X12 knows."""
    for line in claim.lines:
        drug = line.drug
        if drug is None:
            continue
        if not NDC.fullmatch(drug.ndc):
            say = f"Line {line.number}: the NDC {drug.ndc or '(none)'} is not eleven digits."
        elif drug.quantity <= 0:
            say = f"Line {line.number}: the drug's quantity is {drug.quantity:f}."
        elif drug.unit not in UNITS:
            say = f"Line {line.number}: the drug's unit {drug.unit or '(none)'} is not UN, ML, GR, ME or F2."
        else:
            continue
        yield blocking(
            say,
            at=f"Claim.item[{line.number - 1}].detail",
            fix="Copy NDC and quantity from the package: 5-4-2 digits, padded with zeros.",
            resource=line.ref,
        )


def _of(ndc: str, quantity: str = "1", unit: str = "ML") -> Claim:
    return a_claim(lines=(a_line(drug=Drug(ndc=ndc, quantity=Decimal(quantity), unit=unit)),))


EXAMPLES = [
    passes(a_claim()),
    passes(_of("00000000001")),
    blocks(_of("0000-0000-01")),
    blocks(_of("00000000001", "0")),
    blocks(_of("00000000001", "1", "MG")),
]
