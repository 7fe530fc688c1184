"""A visit and a procedure on one day are two pieces of work or one; the note knows, and its author says which.

Separate work is marked on the visit (modifier 25). A visit that was part of the procedure is a coder's to take off.
Spec: SV101-3 to SV101-6.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import MODIFIER, with_extension
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import Kind, Seen, changed, decides, lines_of, service_of

SEPARATE, PART = "separate", "part"


def _asks(seen: Seen) -> Iterator[Question]:
    for _, line in lines_of(seen, "visit-and-procedure"):
        others = [
            one
            for claim in seen.claims
            for one in claim.lines
            if one is not line and one.served_from == line.served_from
        ]
        done = service_of(seen, others[0].ref, others[0].procedure) if len(others) == 1 else "what was done that day"
        yield Question(
            key=f"modifier-reason:{line.ref}",
            kind="modifier-reason",
            encounter=seen.visit,
            ask=f"Was the visit a piece of work of its own, apart from {done}?",
            why="Both stand in the chart for the same day.",
            choices=(
                Choice(key=SEPARATE, label="A separate piece of work"),
                Choice(key=PART, label="Part of it"),
            ),
            settles="visit-and-procedure",
            about=line.ref,
        )


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    value = {"valueCode": "25"} if decides(answer) and answer.choice == SEPARATE else None
    urls = site.options.extensions.get("modifier", (MODIFIER,)) if site else (MODIFIER,)
    return changed(resources, answer, lambda one: with_extension(one, answer.question, (urls or (MODIFIER,))[0], value))


KIND = Kind(
    key="modifier-reason",
    settles=("visit-and-procedure",),
    asks=_asks,
    lays=_lays,
    choices=frozenset({SEPARATE, PART}),
    to_coder=frozenset({PART}),
)
EXAMPLE = "edits: {visit-and-procedure: {visits: [99213], procedures: [20610]}}; both on one day"
