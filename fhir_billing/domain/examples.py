"""An office visit in January and a three-day stay are enough to tell every rule of billing by what is changed in them.

Plausible people who do not exist: reserved test names, 555-01 phones, a made-up town, check digits that are right.
Edits, tests and the demo start from these and name only what matters: `a_claim(diagnoses=())`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from fhir_billing.domain.claim import (
    Address,
    Claim,
    ClaimKind,
    Diagnosis,
    InpatientProcedure,
    Insurance,
    Party,
    Payer,
    Person,
    ServiceLine,
    Stay,
)
from fhir_billing.domain.payer import PayerProfile

SERVED = "2026-01-10"
"""The day of the example visit, unless told otherwise."""


def an_address(**changes: Any) -> Address:
    """A street in a town that is on no map."""
    return replace(Address(lines=("12 Example Street",), city="Sampleton", state="MA", zip="999990001"), **changes)


def a_person(**changes: Any) -> Person:
    """The patient of the example claims, who is also the subscriber."""
    whole = Person(
        ref="Patient/example-ana",
        family="Zztest",
        given="Ana",
        birth_date=date(1984, 3, 14),
        sex="F",
        address=an_address(),
    )
    return replace(whole, **changes)


def a_group(**changes: Any) -> Party:
    """The group practice that bills."""
    whole = Party(
        ref="Organization/example-group",
        name="Example Family Medicine",
        npi="1234567893",
        tax_id="999999999",
        taxonomy="207Q00000X",
        address=an_address(lines=("1 Sample Square",)),
        phone="5555550100",
    )
    return replace(whole, **changes)


def a_hospital(**changes: Any) -> Party:
    """The hospital that bills a stay."""
    return replace(
        a_group(
            ref="Organization/example-hospital",
            name="Example General Hospital",
            npi="1888888884",
            taxonomy="282N00000X",
        ),
        **changes,
    )


def a_clinician(**changes: Any) -> Party:
    """The person who saw the patient."""
    whole = Party(
        ref="Practitioner/example-rolf", family="Zztest", given="Rolf", npi="1999999992", taxonomy="207Q00000X"
    )
    return replace(whole, **changes)


def an_insurance(**changes: Any) -> Insurance:
    """One active coverage, the patient's own."""
    whole = Insurance(
        ref="Coverage/example-ana",
        payer=Payer(id="EXC01", name="Example Commercial Health"),
        member_id="ZZT0000001",
        group_number="EX-100",
        subscriber=a_person(),
        active_from=date(2020, 1, 1),
    )
    return replace(whole, **changes)


def a_line(served: str = SERVED, **changes: Any) -> ServiceLine:
    """One office visit."""
    day = date.fromisoformat(served)
    whole = ServiceLine(
        number=1,
        procedure="99213",
        charge=12500,
        served_from=day,
        served_to=day,
        pointers=(1,),
        ref="Encounter/example-visit",
    )
    return replace(whole, **changes)


def a_claim(*, served: str = SERVED, **changes: Any) -> Claim:
    """A clean professional claim of one office visit and one laboratory draw, changed where told."""
    day = date.fromisoformat(served)
    whole = Claim(
        id="C-EXAMPLE00001",
        kind=ClaimKind.PROFESSIONAL,
        encounter="Encounter/example-visit",
        patient=a_person(),
        insurance=(an_insurance(),),
        billing=a_group(),
        rendering=a_clinician(),
        place="11",
        diagnoses=(
            Diagnosis(sequence=1, code="J069", kind="principal", ref="Condition/example-cold"),
            Diagnosis(sequence=2, code="I10", ref="Condition/example-pressure"),
        ),
        lines=(
            a_line(served),
            a_line(served, number=2, procedure="36415", charge=1500, pointers=(2,), ref="Procedure/example-draw"),
        ),
        served_from=day,
        served_to=day,
    )
    return replace(whole, **changes)


def a_hospital_claim(*, served: str = SERVED, **changes: Any) -> Claim:
    """A clean institutional claim of a three-day inpatient stay that ends two days after `served`."""
    first = date.fromisoformat(served)
    last = first + timedelta(days=2)
    stay = Stay(
        admission_type="3",
        admission_source="1",
        patient_status="01",
        admitted_at=datetime.combine(first, time(9, 30)),
        discharged_at=datetime.combine(last, time(14)),
        procedures=(InpatientProcedure(code="0DTJ4ZZ", on=first),),
    )
    whole = a_claim(
        served=served,
        id="C-EXAMPLE00002",
        kind=ClaimKind.INSTITUTIONAL,
        encounter="Encounter/example-stay",
        billing=a_hospital(),
        rendering=None,
        attending=a_clinician(),
        operating=a_clinician(ref="Practitioner/example-mia", given="Mia", npi="1777777776"),
        diagnoses=(
            Diagnosis(
                sequence=1, code="K3580", kind="principal", present_on_admission="Y", ref="Condition/example-app"
            ),
            Diagnosis(sequence=2, code="K3580", kind="admitting", ref="Condition/example-app"),
            Diagnosis(sequence=3, code="I10", present_on_admission="Y", ref="Condition/example-pressure"),
        ),
        lines=(
            a_line(served, procedure="", revenue_code="0120", charge=400000, units=Decimal(2), unit="DA"),
            a_line(served, number=2, procedure="", revenue_code="0360", charge=650000, pointers=(1,)),
        ),
        served_from=first,
        served_to=last,
        stay=stay,
    )
    return replace(whole, **changes)


def a_payer(**changes: Any) -> PayerProfile:
    """The payer of the example claims, as the site knows it."""
    return replace(PayerProfile(id="EXC01", name="Example Commercial Health"), **changes)
