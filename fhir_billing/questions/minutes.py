"""A service that is billed by time took as long as it took; the chart says it, or whoever did it.

Spec: CPT time rules: which codes, and from how many minutes on, is the site's list.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import MINUTES, with_extension
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import Kind, Seen, changed, decides, lines_of, service_of

TYPED = r"[1-9][0-9]?|[1-3][0-9]{2}|4[0-7][0-9]|480"
"""One to 480: more than a working day at one service is a slip of the hand."""


def _asks(seen: Seen) -> Iterator[Question]:
    for _, line in lines_of(seen, "minutes-missing"):
        yield Question(
            key=f"minutes:{line.ref}",
            kind="minutes",
            encounter=seen.visit,
            ask=f"How many minutes did this take: {service_of(seen, line.ref, line.procedure)}?",
            why="It is recorded by time, and the chart gives no time.",
            choices=(Choice(key="minutes", label="This many minutes"),),
            settles="minutes-missing",
            about=line.ref,
            entry="Minutes",
        )


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    value = {"valuePositiveInt": int(answer.text)} if decides(answer) and answer.choice == "minutes" else None
    return changed(resources, answer, lambda one: with_extension(one, answer.question, MINUTES, value))


KIND = Kind(
    key="minutes",
    settles=("minutes-missing", "minutes-short"),
    asks=_asks,
    lays=_lays,
    choices=frozenset({"minutes"}),
    entry={"minutes": TYPED},
)
EXAMPLE = "clinicians: {minutes: {99406: 4}}; counselling without a time"
