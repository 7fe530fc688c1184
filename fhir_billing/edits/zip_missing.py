"""A patient without a ZIP code cannot be found in a payer's files, and the postal code cannot be guessed.

Spec: N403 of 2010BA, or of 2010CA when the patient is not the subscriber: five or nine digits.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.codes import zip_digits
from fhir_billing.domain.examples import a_claim, a_person, an_address, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning


@edit("zip-missing", fix_by=Owner.REGISTRATION)
def zip_missing(claim: Claim, context: Context) -> Iterator[Finding]:
    """The patient's address has a ZIP code of five or nine digits."""
    if not zip_digits(claim.patient.address.zip):
        given = claim.patient.address.zip
        yield blocking(
            f"The patient's ZIP code {given} is not five or nine digits." if given else "The patient has no ZIP code.",
            at="Patient.address.postalCode",
            fix="Ask the patient, and enter it in the EHR.",
            resource=claim.patient.ref,
        )
    for insurance in claim.insurance[:1]:
        address = insurance.subscriber.address
        if insurance.relationship != "18" and address.lines and not zip_digits(address.zip):
            yield warning(
                "The subscriber's address has no ZIP code; it is left out of the claim.",
                at="RelatedPerson.address.postalCode",
                fix="Ask for it at registration.",
                resource=insurance.subscriber.ref,
            )


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(patient=a_person(address=an_address(zip="99999")))),
    passes(a_claim(insurance=(an_insurance(relationship="19", subscriber=a_person(address=an_address(zip=""))),))),
    blocks(a_claim(patient=a_person(address=an_address(zip="")))),
    blocks(a_claim(patient=a_person(address=an_address(zip="999")))),
]
