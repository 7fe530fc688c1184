"""A visit by video has no room: its place says where the patient sat (10 at home, 02 elsewhere), its modifier how they met.

Some payers want the modifier, some do not: `modifier: required` holds a claim without it, otherwise it is a warning.
Spec: CLM05-1, SV105; modifiers 95 (video), 93 (sound only), GT and GQ of old.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

PLACES = {"02", "10"}
MODIFIERS = {"95", "93", "GT", "GQ"}


@edit("telehealth-place", fix_by=Owner.CODER)
def telehealth_place(claim: Claim, context: Context) -> Iterator[Finding]:
    """A line with a telehealth modifier is at place 02 or 10, and the other way round."""
    if claim.kind is not ClaimKind.PROFESSIONAL:
        return
    required = context.settings.get("modifier") == "required"
    for line in claim.lines:
        place = line.place or claim.place
        spoken = MODIFIERS.intersection(line.modifiers)
        if spoken and place not in PLACES:
            yield blocking(
                f"Line {line.number} has modifier {min(spoken)} but place {place or '(none)'}.",
                at=f"Claim.item[{line.number - 1}].locationCodeableConcept",
                fix="Place 10 when the patient was at home, 02 when elsewhere.",
                resource=line.ref,
            )
        elif place in PLACES and not spoken and (required or line is claim.lines[0]):
            say = blocking if required else warning
            yield say(
                f"Line {line.number} is at place {place} without a telehealth modifier.",
                at=f"Claim.item[{line.number - 1}].modifier",
                fix="95 for video, 93 for sound only, as the payer wants it.",
                resource=line.ref,
            )


def _visit(place: str, *modifiers: str) -> Claim:
    return a_claim(place=place, lines=(a_line(modifiers=modifiers),))


EXAMPLES = [
    passes(_visit("11")),
    passes(_visit("10", "95")),
    passes(_visit("02")),
    blocks(_visit("02"), settings={"modifier": "required"}),
    blocks(_visit("11", "95")),
]
