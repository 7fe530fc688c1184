"""A bill as written: the guide's order, the claim's facts, nothing made up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fhir_billing.domain.claim import Claim, Drug, Frequency
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
from fhir_billing.x12 import check
from fhir_billing.x12.envelope import read
from fhir_billing.x12.missing import missing
from fhir_billing.x12.write_837 import CannotWrite
from tests.unit.x12.samples import a_secondary, sent


def lines_of(*claims: Claim, **more: Any) -> list[str]:
    data = sent(*claims, **more)
    reading = read(data)
    assert reading.findings == []
    assert check.check(reading) == []
    return data.decode().replace("~", "").splitlines()


def test_the_numbers_are_the_ones_that_were_given() -> None:
    found = lines_of(a_claim())
    assert found[0].split("*")[13] == "000000042"
    assert found[1].split("*")[6] == "7"
    assert found[2] == "ST*837*0003*005010X222A1"
    assert found[-1] == "IEA*1*000000042"


def test_a_patient_who_is_the_subscriber_has_no_level_of_their_own() -> None:
    found = lines_of(a_claim())
    assert "HL*2*1*22*0" in found
    assert "SBR*P*18*EX-100******CI" in found
    assert not [one for one in found if one.startswith(("PAT", "NM1*QC"))]


def test_a_child_on_a_parents_plan_has_a_level_below_the_parent() -> None:
    parent = a_person(family="Zztest", given="Eva", ref="RelatedPerson/1")
    claim = a_claim(insurance=(an_insurance(relationship="19", subscriber=parent),))
    found = lines_of(claim)
    at = found.index("HL*2*1*22*1")
    assert found[at : at + 3] == ["HL*2*1*22*1", "SBR*P**EX-100******CI", "NM1*IL*1*ZZTEST*EVA****MI*ZZT0000001"]
    assert found[found.index("HL*3*2*23*0") :][:3] == ["HL*3*2*23*0", "PAT*19", "NM1*QC*1*ZZTEST*ANA"]
    assert "DMG*D8*19840314*F" in found


def test_claims_of_one_provider_and_one_patient_share_their_levels() -> None:
    other = replace(a_person(), family="Example", given="Bo")
    found = lines_of(
        a_claim(id="C-1"),
        a_claim(id="C-2", patient=other),
        a_claim(id="C-3"),
        a_claim(id="C-4", billing=a_group(npi="1888888884")),
    )
    levels = [one.split("*")[3] for one in found if one.startswith("HL*")]
    assert levels == ["20", "22", "22", "20", "22"]
    assert [one.split("*")[1] for one in found if one.startswith("CLM*")] == ["C-1", "C-3", "C-2", "C-4"]


def test_letters_are_what_x12_can_carry_and_no_delimiter_gets_into_the_text() -> None:
    strange = a_person(family="Zztest-Muñoz*~", given="Łukasz:^", address=an_address(lines=("12 Weiß Straße",)))
    found = lines_of(a_claim(patient=strange))
    assert "NM1*IL*1*ZZTEST-MUNOZ*LUKASZ****MI*ZZT0000001" in found
    assert "N3*12 WEISS STRASSE" in found


def test_the_charge_is_the_sum_of_the_lines_and_pointers_keep_their_order() -> None:
    claim = a_claim(
        lines=(a_line(pointers=(2, 1), modifiers=("25", "95")), a_line(number=2, procedure="36415", charge=1505))
    )
    found = lines_of(claim)
    assert "CLM*C-EXAMPLE00001*140.05***11:B:1*Y*A*Y*Y" in found
    assert "SV1*HC:99213:25:95*125*UN*1***2:1" in found
    assert "HI*ABK:J069*ABF:I10" in found


def test_a_replacement_names_the_payers_number_of_the_claim_it_replaces() -> None:
    found = lines_of(a_claim(frequency=Frequency.REPLACEMENT, payer_icn="ICN77"))
    assert "REF*F8*ICN77" in found
    assert any(one.startswith("CLM*") and "11:B:7" in one for one in found)


def test_a_rendering_provider_is_named_only_when_another_than_the_billing_one() -> None:
    assert any(one.startswith("NM1*82*") for one in lines_of(a_claim()))
    alone = a_clinician()
    solo = a_claim(billing=replace(a_group(), name="", family="Zztest", given="Rolf", npi=alone.npi), rendering=alone)
    assert not any(one.startswith("NM1*82*") for one in lines_of(solo))


def test_a_drug_carries_its_ndc_and_quantity() -> None:
    claim = a_claim(
        lines=(a_line(procedure="J1100", drug=Drug(ndc="00000000001", quantity=Decimal("1.5"), unit="ML")),)
    )
    found = lines_of(claim)
    assert found[found.index("LIN**N4*00000000001") + 1] == "CTP****1.5*ML"


def test_the_other_payer_comes_with_what_it_paid_and_adjusted() -> None:
    found = lines_of(a_secondary())
    at = found.index("SBR*P*18*EX-100******MB")
    assert found[at + 1 : at + 4] == ["AMT*D*105", "AMT*EAF*10", "OI***Y***Y"]
    assert "REF*F8*ICN-1" in found
    at = found.index("SVD*MCRB1*90*HC:99213**1")
    assert found[at + 1 : at + 4] == ["CAS*CO*45*25", "CAS*PR*2*10", "DTP*573*D8*20260131"]


def test_a_hospital_bill_tells_the_stay_before_the_lines() -> None:
    found = lines_of(a_hospital_claim())
    assert "CLM*C-EXAMPLE00002*10500***11:A:1**A*Y*Y" in found
    at = found.index("DTP*096*TM*1400")
    assert found[at : at + 7] == [
        "DTP*096*TM*1400", "DTP*434*RD8*20260110-20260112", "DTP*435*DT*202601100930", "CL1*3*1*01",
        "HI*ABK:K3580:::::::Y", "HI*ABJ:K3580", "HI*ABF:I10:::::::Y",
    ]  # fmt: skip
    assert "HI*BBR:0DTJ4ZZ:D8:20260110" in found
    assert "SV2*0120**4000*DA*2" in found


def test_a_test_sending_is_marked_so() -> None:
    assert lines_of(a_claim(), test=True)[0].split("*")[15] == "T"


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"billing": a_group(address=an_address(zip="99999"))}, "zip-missing"),
        ({"billing": a_group(npi="1234567890")}, "npi-invalid"),
        ({"billing": a_group(tax_id="")}, "tax-id-missing"),
        ({"billing": a_group(address=an_address(lines=("P.O. Box 1",)))}, "po-box"),
        ({"diagnoses": ()}, "no-diagnosis"),
        ({"lines": ()}, "no-lines"),
        ({"lines": (a_line(pointers=()),)}, "pointer-missing"),
        ({"lines": (a_line(pointers=(3,)),)}, "pointer-missing"),
        ({"lines": (a_line(procedure=""),)}, "procedure-missing"),
        ({"lines": tuple(a_line(number=n) for n in range(1, 52))}, "too-many-lines"),
        ({"insurance": (an_insurance(member_id=""),)}, "member-id-missing"),
        ({"insurance": (an_insurance(member_id="A*1"),)}, "member-id"),
        ({"patient": a_person(birth_date=None)}, "birth-date-missing"),
        ({"patient": a_person(address=an_address(zip=""))}, "zip-missing"),
        ({"frequency": Frequency.VOID}, "icn-missing"),
        ({"id": "way too long for a claim number"}, "claim-id"),
        ({"place": ""}, "place-missing"),
    ],
)
def test_what_is_missing_is_a_finding_and_never_invented(changed: dict[str, Any], key: str) -> None:
    claim = a_claim(**changed)
    assert key in {one.key for one in missing(claim)}
    with pytest.raises(CannotWrite) as caught:
        sent(claim)
    assert caught.value.findings[claim.id]
    assert all(one.fix for one in caught.value.findings[claim.id])


def test_an_earlier_payers_decision_must_add_up() -> None:
    claim = a_secondary()
    wrong = replace(
        claim.insurance[1], prior=(replace(claim.insurance[1].prior[0], paid=1), *claim.insurance[1].prior[1:])
    )
    assert "cob-balance" in {one.key for one in missing(replace(claim, insurance=(claim.insurance[0], wrong)))}
