"""A date is agreed: weeks are left to mend a coverage or to ask the payer.

Spec: CDS Hooks library, appointment-book 1.0: userId, patientId, appointments, optional encounterId.
"""

from __future__ import annotations

from datetime import date

from fhir_billing.cds import cost, coverage, ordered
from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import COVERAGES, PATIENT, Call, Hook


def cards(call: Call) -> list[Card]:
    """For each day that is booked: a coverage not active then, an authorization to ask for; and the cost when it is known."""
    found: list[Card] = []
    for day in _days(call):
        found += coverage.not_active(call, day)
    first = min(_days(call), default=call.today)
    return [*found, *ordered.authorization(call, first), *cost.expected(call)]


def _days(call: Call) -> list[date]:
    starts = (
        order.get("start") for order in call.orders if str(order.get("status")) not in {"cancelled", "entered-in-error"}
    )
    return sorted({day for start in starts if isinstance(start, str) and (day := call.site.days.day(start))})


HOOK = Hook(
    id="billing-appointment-book",
    hook="appointment-book",
    title="Billing: coverage on the day of the appointment",
    description="Says when no coverage on file is active on the booked day, or when the payer wants to be asked before.",
    needs=("userId", "patientId", "appointments"),
    may=("encounterId",),
    orders="appointments",
    prefetch={**PATIENT, **COVERAGES},
    cards=cards,
)
