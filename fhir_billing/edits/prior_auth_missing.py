"""Some services are paid only if the payer was asked before; the answer is a number, and it goes on the claim.

The payer's file lists the procedures: `prior-auth-missing: {procedures: ["70551"]}`. A `*` at the end stands for the rest.
Spec: REF*G1 on the claim or the line; CARC 197.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.codes import on_list
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, listed, passes


@edit("prior-auth-missing", fix_by=Owner.BILLER)
def prior_auth_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """A procedure on the payer's list carries an authorization number."""
    if claim.authorization:
        return
    for line in claim.lines:
        if not line.authorization and wanted(line.procedure, context.settings):
            yield blocking(
                f"{context.payer.name or 'The payer'} wants to be asked before {line.procedure} (line {line.number}).",
                at="Claim.insurance[0].preAuthRef",
                fix="Enter the authorization number, or ask for one after the fact.",
                resource=line.ref,
            )


def wanted(procedure: str, settings: Mapping[str, object]) -> bool:
    """Whether the payer wants to be asked before this procedure; an order is looked at with the same list."""
    return on_list(procedure, listed(settings, "procedures"))


_HEAD = a_claim(lines=(a_line(procedure="70551"),))

EXAMPLES = [
    passes(_HEAD),
    passes(a_claim(), settings={"procedures": ["70551"]}),
    passes(a_claim(authorization="A-100", lines=_HEAD.lines), settings={"procedures": ["70551"]}),
    blocks(_HEAD, settings={"procedures": ["70551"]}),
    blocks(_HEAD, settings={"procedures": ["705*"]}),
]
