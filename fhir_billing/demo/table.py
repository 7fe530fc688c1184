"""The table of visits: where each stands, what was charged, what is paid, what the patient owes."""

from __future__ import annotations

from fhir_billing.domain import ledger
from fhir_billing.domain.money import show
from fhir_billing.wiring import Wiring


def visit_table(wiring: Wiring) -> str:
    """One row for each claim, and for each visit that made none."""
    rows = [("visit", "patient", "what", "state", "charge", "paid", "patient owes")]
    with wiring.store.begin() as book:
        claims = book.claims()
        for visit in book.visits():
            mine = [c for c in claims if c.encounter == visit.encounter]
            numbers = [c.number for c in mine] or [visit.number]
            states = [str(c.state) for c in mine] or [visit.outcome]
            charges = [c.charge for c in mine] or [visit.charge]
            for number, state, charge in zip(numbers, states, charges, strict=True):
                paid = sum(payment.paid for payment in book.payments(number) if payment.matched)
                owes = book.balances(number).get(ledger.RECEIVABLE_PATIENT, 0)
                rows.append((number, visit.patient_name, visit.what, state, show(charge), show(paid), show(owes)))
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 4 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
