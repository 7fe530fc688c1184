"""A bill without a service asks for nothing.

Spec: LX and SV1 or SV2 at least once; Claim.item.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.codes import is_procedure
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("no-lines", fix_by=Owner.CODER)
def no_lines(claim: Claim, context: Context) -> Iterator[Finding]:
    """The claim has at least one line, and each names what was done."""
    if not claim.lines:
        yield blocking(
            "Nothing was charged for this visit.",
            at="Claim.item",
            fix="Enter the charges of the visit, or close it as not billable.",
            resource=claim.encounter,
        )
    for line in claim.lines:
        named = line.procedure or (claim.kind is ClaimKind.INSTITUTIONAL and line.revenue_code)
        if not named or (line.procedure and not is_procedure(line.procedure)):
            yield blocking(
                f"Line {line.number} has no procedure code that a payer knows ({line.procedure or 'none'}).",
                at=f"Claim.item[{line.number - 1}].productOrService",
                fix="Choose a CPT or HCPCS code, or add the chart's code to the site's table.",
                resource=line.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_hospital_claim()),
    blocks(a_claim(lines=())),
    blocks(a_claim(lines=(a_line(procedure=""),))),
    blocks(a_claim(lines=(a_line(procedure="76601001"),))),
]
