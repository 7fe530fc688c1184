"""A letter needs a street, a town and a state; so does a payer's member file.

Spec: N301, N401, N402 of 2010BA or 2010CA. The ZIP code has its own edit.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_person, an_address
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("patient-address", fix_by=Owner.REGISTRATION)
def patient_address(claim: Claim, context: Context) -> Iterator[Finding]:
    """The patient's address has a street, a city and a state."""
    address = claim.patient.address
    parts = (("street", "line", any(address.lines)), ("city", "city", address.city), ("state", "state", address.state))
    for name, element, given in parts:
        if not given:
            yield blocking(
                f"The patient's address has no {name}.",
                at=f"Patient.address.{element}",
                fix="Ask the patient, and enter it in the EHR.",
                resource=claim.patient.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    blocks(a_claim(patient=a_person(address=an_address(lines=())))),
    blocks(a_claim(patient=a_person(address=an_address(city="")))),
]
