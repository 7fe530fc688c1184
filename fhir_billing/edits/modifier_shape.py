"""A modifier is two signs that change what a code means; the payer reads the first four, in their order.

Spec: SV101-3 to SV101-6, SV202-3 to SV202-6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

SHAPE = re.compile(r"[A-Z0-9]{2}")


@edit("modifier-shape", fix_by=Owner.CODER)
def modifier_shape(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has at most four modifiers of two signs, none of them twice."""
    for line in claim.lines:
        odd = [modifier for modifier in line.modifiers if not SHAPE.fullmatch(modifier)]
        if odd:
            say = f"Line {line.number} has the modifier {odd[0] or '(empty)'}, which is none."
        elif len(line.modifiers) > 4:
            say = f"Line {line.number} has {len(line.modifiers)} modifiers; a payer reads four."
        elif len(set(line.modifiers)) < len(line.modifiers):
            say = f"Line {line.number} has a modifier twice."
        elif line.modifiers and not line.procedure:
            say = f"Line {line.number} has a modifier and no procedure that it could change."
        else:
            continue
        yield blocking(
            say,
            at=f"Claim.item[{line.number - 1}].modifier",
            fix="Keep the modifiers that the documentation supports, those that change the price first.",
            resource=line.ref,
        )


EXAMPLES = [
    passes(a_claim(lines=(a_line(modifiers=("25", "GT")),))),
    blocks(a_claim(lines=(a_line(modifiers=("5",)),))),
    blocks(a_claim(lines=(a_line(modifiers=("25", "25")),))),
    blocks(a_claim(lines=(a_line(modifiers=("25", "59", "76", "RT", "GT")),))),
]
