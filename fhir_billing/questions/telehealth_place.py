"""At a visit from afar the bill says where the patient sat; only who spoke with the patient knows.

Spec: place of service 10 (at home) and 02 (elsewhere), CLM05-1.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import PLACE, with_extension
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import Kind, Seen, changed, decides

PLACES = {"home": "10", "elsewhere": "02"}


def _asks(seen: Seen) -> Iterator[Question]:
    if not any(finding.at.endswith("locationCodeableConcept") for finding in seen.held_by("telehealth-place")):
        return
    yield Question(
        key=f"telehealth-place:{seen.visit}",
        kind="telehealth-place",
        encounter=seen.visit,
        ask="Where was the patient during this visit?",
        why="The visit was held from afar, and the chart gives a room of the practice.",
        choices=(
            Choice(key="home", label="At home"),
            Choice(key="elsewhere", label="Somewhere else, such as another office"),
        ),
        settles="telehealth-place",
        about=seen.visit,
    )


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    value = {"valueCode": PLACES[answer.choice]} if decides(answer) and answer.choice in PLACES else None
    urls = site.options.extensions.get("place", (PLACE,)) if site else (PLACE,)
    return changed(resources, answer, lambda one: with_extension(one, answer.question, (urls or (PLACE,))[0], value))


KIND = Kind(
    key="telehealth-place",
    settles=("telehealth-place",),
    asks=_asks,
    lays=_lays,
    whole_visit=True,
    choices=frozenset(PLACES),
)
EXAMPLE = "an office visit with modifier 95"
