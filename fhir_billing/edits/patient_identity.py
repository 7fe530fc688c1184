"""A payer matches a member by name, birth date and number together; one that is missing makes a stranger.

Spec: NM1*IL, NM1*QC and DMG of 2010BA and 2010CA. X12 has M, F and U for sex.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Claim, Person
from fhir_billing.domain.examples import a_claim, a_person, an_insurance
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning


@edit("patient-identity", fix_by=Owner.REGISTRATION)
def patient_identity(claim: Claim, context: Context) -> Iterator[Finding]:
    """Patient and subscriber have a family name and a birth date that has come; sex is M, F or U."""
    yield from _of("patient", "Patient", claim.patient, context.today)
    for insurance in claim.insurance[:1]:
        if insurance.relationship != "18":
            if not insurance.subscriber.family:
                yield blocking(
                    "The subscriber has no name.",
                    at="Coverage.subscriber",
                    fix="Enter who holds the insurance.",
                    resource=insurance.ref,
                )
            if insurance.subscriber.birth_date is None:
                yield warning(
                    "The subscriber has no birth date.",
                    at="RelatedPerson.birthDate",
                    fix="Ask for it: many payers match by it.",
                    resource=insurance.subscriber.ref,
                )


def _of(who: str, kind: str, person: Person, today: date) -> Iterator[Finding]:
    facts = (
        (not person.family, f"The {who} has no family name.", "name.family"),
        (person.birth_date is None, f"The {who} has no full birth date.", "birthDate"),
        (person.birth_date is not None and person.birth_date > today, f"The {who} is not born yet.", "birthDate"),
        (person.sex not in ("M", "F", "U"), f"The {who}'s sex {person.sex} is not M, F or U.", "gender"),
    )
    for wrong, say, element in facts:
        if wrong:
            yield blocking(say, at=f"{kind}.{element}", fix="Ask, and enter it in the EHR.", resource=person.ref)


EXAMPLES = [
    passes(a_claim()),
    passes(a_claim(patient=a_person(given="", sex="U"))),
    blocks(a_claim(patient=a_person(family=""))),
    blocks(a_claim(patient=a_person(birth_date=None))),
    blocks(a_claim(patient=a_person(sex="other"))),
    blocks(a_claim(insurance=(an_insurance(relationship="19", subscriber=a_person(family="")),))),
]
