"""A modifier is two characters, and a line has room for four of them, each once.

Spec: SV101-3 to -6 and SV202-3 to -6; the order is the biller's, pricing ones first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

MOST = 4
_SHAPE = re.compile(r"[A-Z0-9]{2}", re.ASCII)


@edit("modifier-shape", fix_by=Owner.CODER)
def modifier_shape(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has at most four modifiers, well formed and none twice."""
    for line in claim.lines:
        wrong = [m for m in line.modifiers if not _SHAPE.fullmatch(m)]
        say = ""
        if wrong:
            say = f"Line {line.number}: {', '.join(wrong)} is no modifier."
        elif len(line.modifiers) > MOST:
            say = f"Line {line.number} has {len(line.modifiers)} modifiers; there is room for {MOST}."
        elif len(set(line.modifiers)) < len(line.modifiers):
            say = f"Line {line.number} has a modifier twice."
        if say:
            yield blocking(
                say, at=f"Claim.item[{line.number - 1}].modifier", fix="Correct the modifiers.", resource=line.ref
            )


EXAMPLES = [
    passes(a_claim(lines=(a_line(modifiers=("25", "LT")),))),
    blocks(a_claim(lines=(a_line(modifiers=("2",)),))),
    blocks(a_claim(lines=(a_line(modifiers=("25", "59", "LT", "RT", "76")),))),
    blocks(a_claim(lines=(a_line(modifiers=("25", "25")),))),
]
