"""A visit beside a procedure on the same day is paid when it was work of its own, and the bill says so.

Which codes are meant is the site's or the payer's list: `visit-and-procedure: {visits: ["99213"], procedures: ["20610"]}`.
A `*` at the end stands for the rest. Spec: modifier 25.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.codes import on_list
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, listed, passes


@edit("visit-and-procedure", fix_by=Owner.CLINICIAN)
def visit_and_procedure(claim: Claim, context: Context) -> Iterator[Finding]:
    """A listed visit with a listed procedure on its day has modifier 25."""
    visits, procedures = listed(context.settings, "visits"), listed(context.settings, "procedures")
    if claim.kind is not ClaimKind.PROFESSIONAL or not visits or not procedures:
        return
    done = [line for line in claim.lines if on_list(line.procedure, procedures)]
    for line in claim.lines:
        if not on_list(line.procedure, visits) or "25" in line.modifiers:
            continue
        beside = next((one for one in done if one is not line and one.served_from == line.served_from), None)
        if beside is not None:
            yield blocking(
                f"Line {line.number} bills {line.procedure} beside {beside.procedure} of the same day.",
                at=f"Claim.item[{line.number - 1}].modifier",
                fix="Say whether the visit was work of its own.",
                resource=line.ref,
            )


_BOTH = a_claim(lines=(a_line(procedure="99213"), a_line(number=2, procedure="20610")))
_LISTS = {"visits": ["99213"], "procedures": ["20610"]}

EXAMPLES = [
    passes(_BOTH),
    passes(a_claim(lines=(a_line(procedure="99213"),)), settings=_LISTS),
    passes(
        a_claim(lines=(a_line(procedure="99213", modifiers=("25",)), a_line(number=2, procedure="20610"))),
        settings=_LISTS,
    ),
    blocks(_BOTH, settings=_LISTS),
    blocks(_BOTH, settings={"visits": ["992*"], "procedures": ["206*"]}),
]
