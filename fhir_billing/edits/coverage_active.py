"""A plan pays for the days on which it covered the patient, whatever it covers today.

Spec: Coverage.period against the day of service; CARC 26 and 27.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("coverage-active-on-service-date", fix_by=Owner.REGISTRATION)
def coverage_active(claim: Claim, context: Context) -> Iterator[Finding]:
    """The coverage that is billed was in force when the visit began."""
    day = claim.served_from or claim.last_service_date
    if day is None or not claim.insurance:
        return
    asked = claim.insurance[0]
    begun = asked.active_from is None or asked.active_from <= day
    lasts = asked.active_to is None or day <= asked.active_to
    if not (begun and lasts):
        yield blocking(
            f"The coverage was not in force on {day}.",
            at="Coverage.period",
            fix="Find the plan that covered that day, or bill the patient.",
            resource=asked.ref,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(insurance=(an_insurance(active_from=None, active_to=None),))),
    passes(a_claim(insurance=(an_insurance(active_to=date(2026, 1, 10)),))),
    blocks(a_claim(insurance=(an_insurance(active_to=date(2026, 1, 9)),))),
    blocks(a_claim(insurance=(an_insurance(active_from=date(2026, 1, 11)),))),
]
