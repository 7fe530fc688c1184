"""A visit as its bill would be now, while the patient is still there: what holds it, and what a clinician is asked.

An open visit is drafted as if it ended today; nothing of that is kept. Answers are laid over the chart first, so that
what was answered is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_billing.cycle.draft import DraftedVisit, draft_and_scrub
from fhir_billing.domain.finding import Finding
from fhir_billing.domain.question import Answer, Question
from fhir_billing.mapping.chart import gathered
from fhir_billing.mapping.site import Site
from fhir_billing.questions import asks, laid

OPEN = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bedside:
    """One visit, open or finished, as its bill would be now."""

    encounter: str
    patient: str
    open: bool
    """Not finished yet."""
    drafted: DraftedVisit | None
    questions: tuple[Question, ...]
    """Unanswered, what blocks money first."""
    answered: tuple[Answer, ...]
    others: tuple[Finding, ...]
    """What holds the bill and no question settles: somebody else mends it."""


def bedside(
    resources: Iterable[Any],
    site: Site,
    *,
    encounter: str,
    answers: Sequence[Answer] = (),
    asked: Sequence[Question] = (),
    evidence: Sequence[dict[str, Any]] = (),
    today: date,
) -> Bedside:
    """The visit now. `evidence`: the patient's other Conditions, which only suggest answers and are never billed by themselves."""
    found = list(resources)
    visit = next((r for r in found if _is(r, encounter)), None)
    is_open = visit is not None and str(visit.get("status")) in OPEN
    closed = [_finished(r, today) if is_open and _is(r, encounter) else r for r in found]
    given = tuple(a for a in answers if a.encounter == encounter and a.choice)
    drafted = draft_and_scrub(closed, site, encounter=encounter, answers=answers, today=today)
    told = {a.question for a in given}
    questions: list[Question] = []
    if drafted is not None:
        chart = gathered(laid(closed, [a for a in answers if a.encounter == encounter], site))
        questions = [q for q in asks(chart, drafted, site, evidence) if q.key not in told]
    questions += [q for q in asked if q.encounter in {encounter, ""} and q.key not in told]
    ordered = sorted(questions, key=lambda q: not q.blocks)
    settled = {(q.settles, q.about) for q in ordered}
    return Bedside(
        encounter=encounter,
        patient=drafted.patient if drafted else _patient(visit),
        open=is_open,
        drafted=drafted,
        questions=tuple(ordered),
        answered=given,
        others=tuple(f for f in (drafted.findings if drafted else ()) if f.is_blocking and not _is_asked(f, settled)),
    )


def _is_asked(finding: Finding, settled: set[tuple[str, str]]) -> bool:
    return any(
        key == finding.key and (about == finding.resource or about.startswith("Encounter/")) for key, about in settled
    )


def _is(resource: Any, encounter: str) -> bool:
    return (
        isinstance(resource, dict)
        and resource.get("resourceType") == "Encounter"
        and f"Encounter/{resource.get('id')}" == encounter
    )


def _finished(visit: dict[str, Any], today: date) -> dict[str, Any]:
    """The visit as if it ended today."""
    period = visit.get("period")
    if not isinstance(period, dict) and period is not None:
        return {**visit, "status": "finished"}
    known = dict(period or {})
    known.setdefault("start", today.isoformat())
    return {**visit, "status": "finished", "period": known}


def _patient(visit: dict[str, Any] | None) -> str:
    subject = (visit or {}).get("subject")
    return str(subject.get("reference", "")) if isinstance(subject, dict) else ""


__all__ = ["OPEN", "Bedside", "bedside"]
