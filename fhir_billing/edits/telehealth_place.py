"""A visit by video or telephone did not happen in the clinic, and a bill that says both is turned away.

Spec: place 10 when the patient is at home, 02 elsewhere; modifier 95 by video, 93 by voice alone. A payer that wants
other places says so: `edits: {telehealth-place: {places: ["02"]}}`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

PLACES = ("02", "10")
MODIFIERS = frozenset({"93", "95"})


@edit("telehealth-place", fix_by=Owner.CODER)
def telehealth_place(claim: Claim, context: Context) -> Iterator[Finding]:
    """A line with a telehealth modifier has a telehealth place, and the other way round."""
    if claim.kind is not ClaimKind.PROFESSIONAL:
        return
    told = context.settings.get("places", PLACES)
    places = tuple(map(str, told)) if isinstance(told, list | tuple) else PLACES
    for line in claim.lines:
        place, afar = line.place or claim.place, bool(MODIFIERS & set(line.modifiers))
        if afar and place not in places:
            yield blocking(
                f"Line {line.number} was done from afar, but its place is {place or 'not given'}.",
                at=f"Claim.item[{line.number - 1}].locationCodeableConcept",
                fix=f"Use place {' or '.join(places)}, or remove the modifier.",
                resource=line.ref,
            )
        elif place in PLACES and not afar:
            yield warning(
                f"Line {line.number} has place {place} and no modifier that says video or voice.",
                at=f"Claim.item[{line.number - 1}].modifier",
                fix="Add 95 for video or 93 for voice, as the payer wants it.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(place="10", lines=(a_line(modifiers=("95",)),))),
    passes(a_claim(place="10")),
    blocks(a_claim(place="11", lines=(a_line(modifiers=("95",)),))),
    blocks(a_claim(place="10", lines=(a_line(modifiers=("93",)),)), settings={"places": ["02"]}),
]
