"""A drug is billed with its package's own number: eleven digits, no hyphens, and how much of it was given.

Spec: LIN**N4 (5-4-2, padded), CTP04 and CTP05 with UN, ML, GR, ME or F2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from fhir_billing.domain.claim import Claim, Drug
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

UNITS = frozenset({"UN", "ML", "GR", "ME", "F2"})


@edit("drug-code", fix_by=Owner.CODER)
def drug_code(claim: Claim, context: Context) -> Iterator[Finding]:
    """A line with a drug has an 11-digit NDC, a quantity and a unit."""
    for line in claim.lines:
        drug = line.drug
        if drug is None:
            continue
        if not re.fullmatch(r"\d{11}", drug.ndc, re.ASCII) or drug.quantity <= 0 or drug.unit not in UNITS:
            yield blocking(
                f"Line {line.number}: the drug {drug.ndc or '(none)'} has no 11-digit code with quantity and unit.",
                at=f"Claim.item[{line.number - 1}].detail",
                fix="Write the package's code as 5-4-2 digits, zeros in front, and say how much was given.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line(drug=Drug(ndc="00000000001", quantity=Decimal(2), unit="ML")),))),
    blocks(a_claim(lines=(a_line(drug=Drug(ndc="0000-0000-01", quantity=Decimal(2), unit="ML")),))),
    blocks(a_claim(lines=(a_line(drug=Drug(ndc="00000000001", quantity=Decimal(0), unit="ML")),))),
    blocks(a_claim(lines=(a_line(drug=Drug(ndc="00000000001", quantity=Decimal(1), unit="TAB")),))),
]
