"""A service has a day on which it was given: after the patient's birth, and as a rule within the visit.

Spec: DTP*472 on each line, DTP*434 for a stay. A day outside the visit may be right: a sample read later.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim, ClaimKind, ServiceLine
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning


@edit("service-date", fix_by=Owner.CODER)
def service_date(claim: Claim, context: Context) -> Iterator[Finding]:
    """Each line has a day of service, after the patient's birth; outside the visit is worth a look."""
    for line in claim.lines:
        yield from _of_line(claim, line)


def _of_line(claim: Claim, line: ServiceLine) -> Iterator[Finding]:
    at = f"Claim.item[{line.number - 1}].servicedDate"
    born, start = claim.patient.birth_date, line.served_from
    end = line.served_to or start
    if start is None or end is None:
        if claim.kind is ClaimKind.PROFESSIONAL or claim.served_from is None:
            yield blocking(
                f"Line {line.number} has no day of service.", at=at, fix="Enter when it was done.", resource=line.ref
            )
    elif end < start:
        yield blocking(f"Line {line.number} ends before it starts.", at=at, fix="Correct the dates.", resource=line.ref)
    elif born and start < born:
        yield blocking(
            f"Line {line.number} is dated {start}, before the patient was born.",
            at=at,
            fix="Correct the date of service or of birth.",
            resource=line.ref,
        )
    elif (claim.served_from and start < claim.served_from) or (claim.served_to and end > claim.served_to):
        yield warning(
            f"Line {line.number} is dated outside the visit.",
            at=at,
            fix="Look whether the date is right.",
            resource=line.ref,
        )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(lines=(a_line("2026-01-09"),))),
    passes(a_hospital_claim(lines=(a_line(served_from=None, served_to=None),))),
    blocks(a_claim(lines=(a_line(served_from=None, served_to=None),))),
    blocks(a_claim(lines=(a_line("1984-03-13"),))),
    blocks(a_claim(lines=(a_line(served_to=date(2026, 1, 9)),))),
]
