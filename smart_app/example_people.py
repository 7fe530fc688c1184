"""The invented people of the example desk: sixteen bills, three payers, five kinds of trouble. Nobody here exists."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fhir_billing.cycle.views import (
    Complaint,
)
from fhir_billing.domain.claim import (
    Adjustment,
    Claim,
    ClaimKind,
    Diagnosis,
    Insurance,
    Party,
    Payer,
    Person,
    ServiceLine,
)
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import cents
from fhir_billing.domain.posting import Bucket, CarcTable
from fhir_billing.domain.remittance import ClaimPayment, LinePayment

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
PAYERS = {"EXC01": "Example Blue Ridge PPO", "EXC02": "Example Summit Plan", "EXH": "Example Harbor HMO"}
CARCS = CarcTable(
    rows={
        ("CO", "45"): Bucket.CONTRACTUAL,
        ("PR", "1"): Bucket.PATIENT,
        ("PR", "2"): Bucket.PATIENT,
        ("PR", "3"): Bucket.PATIENT,
        ("CO", "197"): Bucket.DISPUTED,
        ("OA", "23"): Bucket.PRIOR_PAYER,
    }
)
SERVICES = {
    "99213": "Follow-up visit",
    "99214": "Follow-up visit, longer",
    "87880": "Throat swab",
    "20610": "Knee injection",
    "70551": "Head scan",
    "73562": "Knee x-ray",
}
DIAGNOSES = {
    "J020": "Sore throat",
    "M1711": "Arthritis of the right knee",
    "I10": "High blood pressure",
    "R51": "Headache",
}


def day_from_now(count: int) -> date:
    """A day, counted from the desk's today."""
    return TODAY + timedelta(days=count)


def moment(days: int, hour: int = 14, minute: int = 5) -> datetime:
    """A moment of a day counted from today."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, hour, minute, tzinfo=UTC) + timedelta(days=days)


def digest_of(text: str) -> str:
    """A hash that stays the same."""
    return hashlib.sha256(text.encode()).hexdigest()


def a_bill(
    number: str,
    family: str,
    given: str,
    payer: str,
    served: int,
    lines: list[tuple[str, str]],
    diagnoses: list[str],
    *,
    authorization: str = "",
) -> Claim:
    """A professional bill of one visit."""
    day = day_from_now(served)
    return Claim(
        id=number,
        kind=ClaimKind.PROFESSIONAL,
        encounter=f"Encounter/{number.lower()}",
        patient=Person(
            ref=f"Patient/{family[:4].lower()}-{given.lower()}",
            family=family,
            given=given,
            birth_date=date(1980, 2, 29),
            sex="F",
        ),
        insurance=(
            Insurance(payer=Payer(id=payer, name=PAYERS[payer]), member_id=f"EX{number[2:]}01", group_number="0041-77"),
        ),
        billing=Party(name="Example Family Clinic", npi="1234567893", tax_id="000000000"),
        rendering=Party(family="Example-Osei", given="Amara", npi="1999999992"),
        place="11",
        diagnoses=tuple(
            Diagnosis(sequence=n, code=code, kind="principal" if n == 1 else "other")
            for n, code in enumerate(diagnoses, 1)
        ),
        lines=tuple(
            ServiceLine(
                number=n,
                procedure=code,
                charge=cents(amount),
                units=Decimal(1),
                served_from=day,
                pointers=(1,) if diagnoses else (),
            )
            for n, (code, amount) in enumerate(lines, 1)
        ),
        served_from=day,
        served_to=day,
        authorization=authorization,
    )


def as_resource(bill: Claim) -> dict[str, Any]:
    """A FHIR Claim with as much as the pages read."""
    return {
        "resourceType": "Claim",
        "status": "active",
        "use": "claim",
        "identifier": [{"system": "https://fhir-billing.example/fhir/claim-number", "value": bill.id}],
        "patient": {"reference": bill.patient.ref},
        "diagnosis": [
            {"sequence": d.sequence, "diagnosisCodeableConcept": {"text": DIAGNOSES[d.code]}} for d in bill.diagnoses
        ],
        "item": [
            {
                "sequence": x.number,
                "productOrService": {"coding": [{"code": x.procedure}], "text": SERVICES[x.procedure]},
            }
            for x in bill.lines
        ],
    }


def decided(
    number: str, status: str, lines: list[tuple[str, str, str, list[tuple[Group, str, str]]]], icn: str = ""
) -> ClaimPayment:
    """A claim as a payer decided it: code, charge, paid, adjustments of each line."""
    services = tuple(
        LinePayment(
            procedure=code,
            charge=cents(charge),
            paid=cents(paid),
            control=str(n),
            position=20 + n,
            adjustments=tuple(Adjustment(group=g, reason=r, amount=cents(a)) for g, r, a in cas),
        )
        for n, (code, charge, paid, cas) in enumerate(lines, 1)
    )
    return ClaimPayment(
        claim=number,
        status=status,
        charge=sum(s.charge for s in services),
        paid=sum(s.paid for s in services),
        icn=icn,
        lines=services,
        position=18,
    )


CO, PR = Group.CO, Group.PR
FINDINGS = {
    "no-diagnosis": Complaint(
        key="no-diagnosis",
        say="The chart holds no diagnosis for this visit",
        at="Claim.diagnosis",
        fix="enter the reason for the visit in the chart",
        fix_by="clinician",
        source="edit",
    ),
    "zip-missing": Complaint(
        key="zip-missing",
        say="The patient's address has no ZIP code",
        at="Patient.address[0].postalCode",
        fix="ask at the front desk and add it to the chart",
        fix_by="registration",
        source="edit",
        resource="Patient/example",
    ),
    "277ca": Complaint(
        key="A7:33",
        say="The payer does not know this member id",
        at="2000D NM1*IL",
        fix="compare it with the card: a letter O stands where the card has a zero",
        fix_by="biller",
        source="277CA",
    ),
    "denied": Complaint(
        key="CO-197",
        say="The payer denied $1,240.00: no authorization on the claim",
        at="R-2 claim C-EX0009",
        fix="appeal inside the window, bill another plan that covered the day, or give it up with a reason",
        fix_by="biller",
        source="835",
    ),
    "query": Complaint(
        key="R0:294",
        say="The payer wants the visit note",
        at="STC01",
        fix="send the note; it denies after 14 days",
        fix_by="biller",
        source="277",
    ),
}
