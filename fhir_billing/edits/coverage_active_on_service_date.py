"""An insurance pays for the days on which it was in force, whatever it is today.

Spec: Coverage.period, Coverage.status; CARC 26, 27. A stay counts by its first day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_hospital_claim, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("coverage-active-on-service-date", fix_by=Owner.REGISTRATION)
def coverage_active_on_service_date(claim: Claim, context: Context) -> Iterator[Finding]:
    """The coverage billed was in force on the day of service."""
    days = [line.served_from for line in claim.lines if line.served_from]
    day = claim.served_from or min(days, default=None)
    if day is None:
        return
    for place, insurance in enumerate(claim.insurance):
        if insurance.active_from and day < insurance.active_from:
            say = (
                f"The coverage with {insurance.payer.name} began on {insurance.active_from}, after the visit of {day}."
            )
        elif insurance.active_to and day > insurance.active_to:
            say = f"The coverage with {insurance.payer.name} ended on {insurance.active_to}, before the visit of {day}."
        else:
            continue
        yield blocking(
            say,
            at=f"Claim.insurance[{place}].coverage",
            fix="Find the coverage of that day, or bill the patient.",
            resource=insurance.ref,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(insurance=(an_insurance(active_from=date(2026, 1, 10), active_to=date(2026, 1, 10)),))),
    passes(a_hospital_claim(insurance=(an_insurance(active_to=date(2026, 1, 11)),))),
    blocks(a_claim(insurance=(an_insurance(active_from=date(2026, 1, 11)),))),
    blocks(a_claim(insurance=(an_insurance(active_to=date(2026, 1, 9)),))),
]
