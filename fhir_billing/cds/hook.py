"""A hook is a moment in the EHR, what it tells us then, and what we would read to answer.

Spec: CDS Hooks 2.0 "Discovery", "Prefetch Template"; the hook library for each hook's context.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from fhir_billing.cds.card import Card
from fhir_billing.domain.money import Money
from fhir_billing.domain.question import Answer, Question
from fhir_billing.mapping.chart import Chart, Key, gathered
from fhir_billing.mapping.site import Site

Resource = dict[str, Any]
Known = Mapping[str, tuple[Resource, ...]]
MOST_CARDS: Final = 4
"""More than this is noise; our page shows the rest."""
_HOLE = re.compile(r"\{\{context\.(\w+)\}\}")

PATIENT: Final = {"patient": "Patient/{{context.patientId}}"}
COVERAGES: Final = {"coverages": "Coverage?patient={{context.patientId}}&_include=Coverage:payor"}
ENCOUNTER: Final = {"encounter": "Encounter/{{context.encounterId}}"}
PROBLEMS: Final = {"problems": "Condition?patient={{context.patientId}}&clinical-status=active"}
VISIT: Final = {
    **PATIENT,
    **ENCOUNTER,
    **COVERAGES,
    "conditions": "Condition?encounter={{context.encounterId}}",
    **PROBLEMS,
    "procedures": "Procedure?encounter={{context.encounterId}}",
    "charges": "ChargeItem?context=Encounter/{{context.encounterId}}",
    "immunizations": "Immunization?patient={{context.patientId}}",
}
"""All that a visit's bill is drafted from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question of an EHR, with what is known of the chart. Ids are those of one patient: others were refused before."""

    hook: str
    instance: str
    user: str
    """`Practitioner/1`: who sits before the screen."""
    patient: str
    """`Patient/1`."""
    encounter: str = ""
    """`Encounter/2`, or empty."""
    orders: tuple[Resource, ...] = ()
    """Draft orders or appointments; for order-select those that are selected."""
    known: Known = field(default_factory=dict)
    """Resources by prefetch key; a key that could not be read is not here, one that found nothing is empty."""
    site: Site
    today: date
    answers: tuple[Answer, ...] = ()
    """What clinicians have said about this visit already."""
    asked: tuple[Question, ...] = ()
    """What a person of billing asked about this patient, unanswered."""
    expected: Money | None = None
    """What the patient will owe; None: not known yet."""

    def knows(self, *keys: str) -> bool:
        """Whether all of these were read: half a chart would ask what is answered already."""
        return all(key in self.known for key in keys)

    def of(self, *keys: str) -> list[Resource]:
        """Their resources, each once."""
        found = {f"{r.get('resourceType')}/{r.get('id')}": r for key in keys for r in self.known.get(key, ())}
        return list(found.values())

    @property
    def key(self) -> Key:
        """The patient as a chart names one."""
        kind, _, identity = self.patient.partition("/")
        return kind, identity

    @property
    def visit(self) -> Resource:
        """The visit as read; empty when there is none."""
        return next(iter(self.of("encounter")), {})

    def chart(self) -> Chart:
        """The insurance side of the chart."""
        return gathered(self.of("patient", "encounter", "coverages"))

    def day(self) -> date:
        """The visit's day, else today."""
        period = self.visit.get("period")
        start = period.get("start") if isinstance(period, dict) else None
        return (self.site.days.day(start) if isinstance(start, str) else None) or self.today


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One CDS service: what the EHR is told about it, and what it says."""

    id: str
    hook: str
    title: str
    description: str
    needs: tuple[str, ...]
    """What the context must name."""
    may: tuple[str, ...] = ()
    """What the context may name besides."""
    orders: str = ""
    """The context's Bundle: draftOrders, appointments, or none."""
    prefetch: Mapping[str, str]
    cards: Callable[[Call], list[Card]]

    def as_json(self) -> dict[str, object]:
        """As discovery tells it."""
        return {
            "hook": self.hook,
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "prefetch": dict(self.prefetch),
        }

    def answer(self, call: Call) -> list[Card]:
        """What there is to say, the most urgent first, each thing once."""
        cards = list({card.key: card for card in self.cards(call)}.values())
        return sorted(cards, key=lambda card: card.indicator != "warning")[:MOST_CARDS]


def filled(template: str, context: Mapping[str, str]) -> str:
    """A prefetch template with the call's ids; empty when the context lacks one.

    >>> filled("Patient/{{context.patientId}}", {"patientId": "1"})
    'Patient/1'
    """
    if any(not context.get(name) for name in _HOLE.findall(template)):
        return ""
    return _HOLE.sub(lambda found: context[found[1]], template)
