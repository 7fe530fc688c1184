"""What a visit will cost a patient is said before it, or not at all: a number that nobody has computed is not a number.

Only where no question is asked, for money never stands beside one; and only where the site lets clinicians see charges.
"""

from __future__ import annotations

from fhir_billing.cds.card import Card
from fhir_billing.cds.hook import Call
from fhir_billing.domain.money import show


def expected(call: Call) -> list[Card]:
    """A card when the patient's share is known; none while it is not known yet, or where the site shows none."""
    if call.expected is None or not call.site.clinicians.see_charges:
        return []
    return [
        Card(
            key="cost",
            summary=f"The patient will owe about ${show(call.expected)}.",
            detail="An estimate from the coverage and the prices of today; the payer decides.",
            reasons=(),
            link="Open this patient's bills",
            context=(("view", "bills"),),
        )
    ]
