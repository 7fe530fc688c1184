"""Two strangers read what we write: pyx12 validates against its maps, x12sdk builds its models."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_billing.domain.acknowledgment import ClaimStatus, SetAcknowledgment, StatusCode, SyntaxFault
from fhir_billing.domain.claim import Accident, Diagnosis, Drug, Frequency
from fhir_billing.domain.examples import (
    a_claim,
    a_clinician,
    a_group,
    a_hospital_claim,
    a_line,
    a_person,
    an_address,
    an_insurance,
)
from fhir_billing.x12 import write_acks
from fhir_billing.x12.write_837 import Controls
from tests.unit.x12.oracles import models, pyx12_says
from tests.unit.x12.samples import AT, THEIRS, TO_US, a_remittance, a_secondary, sent, submission, written

FULL = a_claim(
    id="C-FULL", frequency=Frequency.REPLACEMENT, payer_icn="ICN1", authorization="AUTH1", referral="REF1", clia="99D9999999",
    accident=Accident(cause="AA", on=date(2026, 1, 9), state="MA"), patient_paid=2000, note="An example note",
    referring=a_clinician(given="Ida"), supervising=a_clinician(given="Ole"), pay_to=an_address(lines=("PO Box 1",)),
    facility=a_group(name="Example Surgery Center", npi="1888888884"),
    diagnoses=tuple(Diagnosis(sequence=n, code=f"M54{n - 1:02d}"[:5]) for n in range(1, 13)),
    lines=tuple(
        a_line(number=n, pointers=(1, 12), place="22", authorization="A", note="N", served_to=date(2026, 1, 11),
               drug=Drug(ndc="00000000001", quantity=Decimal("2.5"), unit="ML"), procedure="J1100")
        for n in range(1, 51)
    ),
)  # fmt: skip
CHILD = a_claim(
    id="C-CHILD", insurance=(an_insurance(relationship="19", subscriber=a_person(given="Eva")),), patient=a_person(birth_date=date(2020, 2, 29))
)  # fmt: skip


BILLS = {
    "office visit": (a_claim(),),
    "child, and its parent": (CHILD, a_claim()),
    "everything": (FULL,),
    "secondary": (a_secondary(),),
    "hospital stay": (a_hospital_claim(),),
    "two stays": (a_hospital_claim(), a_hospital_claim(id="C-2", patient=replace(a_person(), given="Bo"))),
}


@pytest.mark.parametrize("name", BILLS)
def test_both_strangers_read_our_bills(name: str, tmp_path: Path) -> None:
    data = sent(*BILLS[name])
    assert pyx12_says(data)
    found = list(models(data, tmp_path))
    assert len(found) == 1


def test_pyx12_is_a_stranger_that_says_no() -> None:
    assert not pyx12_says(sent(a_claim()).replace(b"HI*ABK:J069*ABF:I10~\n", b""))


def test_pyx12_reads_the_payers_side_that_we_write() -> None:
    assert pyx12_says(written(a_remittance()))
    controls = Controls(interchange=9, group=9)
    said = [
        ClaimStatus(claim="C-EXAMPLE00001", codes=(StatusCode(category="A2", status="20", entity="PR"),), icn="I1"),
        ClaimStatus(claim="C-EXAMPLE00002", codes=(StatusCode(category="A7", status="562", entity="85"),)),
    ]
    assert pyx12_says(
        write_acks.write_277ca(submission(), said, sender=THEIRS, receiver=TO_US, controls=controls, at=AT)
    )
    fault = SyntaxFault(code="8", segment="CLM", position=22, loop="2300")
    sets = [SetAcknowledgment(group_control="2", set_control="0003", kind="837", code="R", faults=(fault,))]
    text = write_acks.write_999(sets, version="005010X222A1", sender=THEIRS, receiver=TO_US, controls=controls, at=AT)
    assert pyx12_says(text)


def test_x12sdk_reads_our_remittance(tmp_path: Path) -> None:
    (found,) = models(written(a_remittance()), tmp_path)
    assert "TRACE-1" in str(found)
