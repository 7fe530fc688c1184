"""A service has a day on which it was given: not tomorrow, not before the patient was born, not outside the visit.

Spec: DTP*472 on each line, DTP*434 for a stay; a day outside the visit's period may be right (a sample read later).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from fhir_billing.domain.claim import Claim, ClaimKind, ServiceLine
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

FORGIVEN = 1
"""Days that a line may lie ahead of today: the site's clock and the chart's may stand on two sides of midnight."""


@edit("service-date", fix_by=Owner.CODER)
def service_date(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has a day of service that has come, after the patient's birth, within the visit."""
    last = claim.served_to or claim.served_from
    if last and last > context.today:
        yield blocking(
            f"The visit ends on {last}, which is still to come.",
            at="Encounter.period.end",
            fix="Correct the period, or wait for that day.",
            resource=claim.encounter,
        )
    horizon = max(context.today, last) if last else context.today
    for line in claim.lines:
        yield from _of_line(claim, line, horizon)


def _of_line(claim: Claim, line: ServiceLine, horizon: date) -> Iterator[Finding]:
    at = f"Claim.item[{line.number - 1}].servicedDate"
    born = claim.patient.birth_date
    end = line.served_to or line.served_from
    if line.served_from is None or end is None:
        if claim.kind is ClaimKind.PROFESSIONAL or claim.served_from is None:
            yield blocking(
                f"Line {line.number} has no day of service.", at=at, fix="Enter when it was done.", resource=line.ref
            )
        return
    if end < line.served_from:
        yield blocking(f"Line {line.number} ends before it starts.", at=at, fix="Correct the dates.", resource=line.ref)
    elif line.served_from > horizon + timedelta(days=FORGIVEN):
        yield blocking(
            f"Line {line.number} is dated {line.served_from}, which is still to come.",
            at=at,
            fix="Correct the date.",
            resource=line.ref,
        )
    elif born and line.served_from < born:
        yield blocking(
            f"Line {line.number} is dated {line.served_from}, before the patient was born.",
            at=at,
            fix="Correct the date of service or of birth.",
            resource=line.ref,
        )
    elif (claim.served_from and line.served_from < claim.served_from) or (claim.served_to and end > claim.served_to):
        yield warning(
            f"Line {line.number} is dated outside the visit's period.",
            at=at,
            fix="Look whether the date is right.",
            resource=line.ref,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line("2026-01-09"),))),
    passes(a_hospital_claim(lines=(a_line(served_from=None, served_to=None),))),
    blocks(a_claim(lines=(a_line(served_from=None, served_to=None),))),
    blocks(a_claim(served="2026-03-01"), today="2026-02-01"),
    blocks(a_claim(lines=(a_line("2026-03-01"),)), today="2026-02-01"),
    blocks(a_claim(lines=(a_line("1984-03-13"),))),
    blocks(a_claim(lines=(a_line(served_to=date(2026, 1, 9)),))),
]
