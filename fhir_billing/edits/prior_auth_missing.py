"""Some services are paid only when the payer was asked before; which ones stands in the payer's file.

Spec: REF*G1; Claim.insurance.preAuthRef; CARC 197. `edits: {prior-auth-missing: {procedures: ["70551"]}}`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("prior-auth-missing", fix_by=Owner.BILLER)
def prior_auth_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """A service on the payer's list has an authorization number."""
    told = context.settings.get("procedures", ())
    listed = frozenset(map(str, told)) if isinstance(told, list | tuple) else frozenset()
    for line in claim.lines:
        if line.procedure in listed and not (claim.authorization or line.authorization):
            yield blocking(
                f"{line.procedure} needs an authorization from {context.payer.id}.",
                at="Claim.insurance[0].preAuthRef",
                fix="Enter the authorization number, or ask the payer for one.",
                resource=line.ref,
            )


LISTED = {"procedures": ["70551"]}
MRI = a_line(procedure="70551", charge=124000)
EXAMPLES = [
    passes(a_claim(), settings=LISTED),
    passes(a_claim(lines=(MRI,), authorization="AUTH-0007"), settings=LISTED),
    passes(a_claim(lines=(MRI,))),
    blocks(a_claim(lines=(MRI,)), settings=LISTED),
]
