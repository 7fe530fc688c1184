"""A coverage that has ended is found at the desk and not in a denial a month later.

The day counts: today for an open chart, the visit's own for a visit, the appointment's for an appointment. A patient
without any coverage pays alone, and nothing is said; what cannot be read is not called ended.
Spec: Coverage.period, Coverage.status; CARC 26, 27.
"""

from __future__ import annotations

from datetime import date

from fhir_billing.cds.card import Card, marked
from fhir_billing.cds.hook import Call, Resource
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.insurance import UNREADABLE, coverages_on, is_self_pay

_NONE = frozenset({"entered-in-error", "draft"})
REASONS = (("covered", "There is another coverage"), ("later", "Not now"))


def not_active(call: Call, day: date) -> list[Card]:
    """A card when the patient has coverages and none of them is in force on the day."""
    if not call.knows("coverages"):
        return []
    chart, found = call.chart(), Found({})
    mine = [c for c in chart.coverages(call.key) if c.get("status") not in _NONE]
    doubt = chart.unread_coverages or chart.unread(call.key)
    if not mine or doubt or any(is_self_pay(chart, coverage) for coverage in mine):
        return []
    active = coverages_on(chart, call.key, day, call.site, call.visit, found)
    if active or any(finding.key == UNREADABLE for finding in found.findings):
        return []
    latest = max(mine, key=lambda c: (_bound(c, "end"), str(c["id"])))
    return [
        Card(
            key=f"coverage:{day.isoformat()}",
            summary=f"No coverage on file is active on {day.isoformat()}.",
            detail=_said(latest),
            indicator="warning",
            reasons=REASONS,
            link="Open this patient's bills",
            context=(("view", "bills"),),
        )
    ]


def first_on(call: Call, day: date) -> Resource | None:
    """The facts of the coverage that is asked first on the day; None when it is not known which."""
    if not call.knows("coverages"):
        return None
    found = coverages_on(call.chart(), call.key, day, call.site, call.visit, Found({}))
    return found[0] if found else None


def _bound(coverage: Resource, name: str) -> str:
    return str((coverage.get("period") or {}).get(name) or "")


def _said(coverage: Resource) -> str:
    """Why the latest one does not count, as far as the chart says it."""
    payors = coverage.get("payor") or [{}]
    name = marked(str(payors[0].get("display") or "The coverage on file"), 60)
    if coverage.get("status") == "cancelled":
        return f"{name} was cancelled."
    if end := _bound(coverage, "end"):
        return f"{name} ended on {marked(end[:10])}."
    if start := _bound(coverage, "start"):
        return f"{name} begins on {marked(start[:10])}."
    return ""
