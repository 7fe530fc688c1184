"""Until October 2015 a diagnosis was billed in ICD-9-CM; a payer refuses the newer book for older days.

Spec: the change took effect for services on and after 2015-10-01 (discharge, for a stay).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes

FIRST_DAY = date(2015, 10, 1)


@edit("icd10-before-2015", fix_by=Owner.CODER)
def icd10_before_2015(claim: Claim, context: Context) -> Iterator[Finding]:
    """A service before October 2015 is not billed with ICD-10-CM."""
    day = claim.last_service_date
    if day and day < FIRST_DAY and claim.diagnoses:
        yield blocking(
            "The service is older than ICD-10-CM, and the claim is coded in it.",
            at="Claim.diagnosis",
            fix="Nothing, as a rule: its filing window closed long ago. A site with old charts may set this edit to none.",
            resource=claim.encounter,
        )


EXAMPLES = [passes(a_claim()), passes(a_claim(served="2015-10-01")), blocks(a_claim(served="2015-09-30"))]
