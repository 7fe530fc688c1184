"""What a payer turns away although it can be read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.x12 import check
from fhir_billing.x12.envelope import read
from fhir_billing.x12.missing import missing
from tests.unit.x12.samples import sent


def text(claim: Claim | None = None) -> str:
    return sent(claim or a_claim(frequency=Frequency.REPLACEMENT, payer_icn="ICN77")).decode()


def said(changed: str) -> list[str]:
    return [str(one) for one in check.check(read(changed.encode())) if one.severity.value == "error"]


def test_what_we_write_passes_our_own_check() -> None:
    assert said(text()) == []
    assert said(text(a_hospital_claim())) == []


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        ("CLM*C-EXAMPLE00001*140*", "CLM*C-EXAMPLE00001*141*", "CLM02"),
        ("XX*1234567893", "XX*1234567890", "check digit"),
        ("N4*SAMPLETON*MA*999990001~\nREF", "N4*SAMPLETON*MA*99999~\nREF", "nine digits"),
        ("REF*F8*ICN77~\n", "", "REF*F8"),
        ("UN*1***1~", "UN*1***3~", "SV107"),
        ("REF*EI*999999999", "REF*EI*99999", "tax id"),
        ("DTP*472*D8*20260110~\nREF*6R*1~", "REF*6R*1~", "DTP"),
        ("HI*ABK:J069*ABF:I10~\n", "", "HI"),
        ("NM1*40*", "NM1*4X*", "1000B"),
        ("LX*1~", "LX*1~\nCLP*1~", "has no place"),
    ],
)
def test_a_law_that_no_envelope_tells_is_named(was: str, now: str, word: str) -> None:
    assert was in text()
    assert word in " ".join(said(text().replace(was, now, 1)))


def test_a_number_used_twice_is_found() -> None:
    twice = text() + text()
    assert "used twice" in " ".join(said(twice))


def claim_with(**changes: Any) -> Claim:
    claim = a_claim()
    return replace(claim, patient=replace(claim.patient, **changes))


def lived(**changes: Any) -> Claim:
    return claim_with(address=replace(a_claim().patient.address, **changes))


def lined(units: str) -> Claim:
    claim = a_claim()
    return replace(claim, lines=(replace(claim.lines[0], units=Decimal(units)), *claim.lines[1:]))


def insured(**changes: Any) -> Claim:
    claim = a_claim()
    return replace(claim, insurance=(replace(claim.insurance[0], **changes),))


@pytest.mark.parametrize(
    ("claim", "at", "word"),
    [
        (claim_with(family="山田"), "Patient.name", "X12 can carry"),
        (claim_with(family="~*:^"), "Patient.name", "X12 can carry"),
        (claim_with(family=""), "Patient.name", "no family name"),
        (claim_with(family="N" * 61), "Patient.name", "room for 60"),
        (claim_with(given="ß" * 18), "Patient.name", "room for 35"),
        (claim_with(given="太郎"), "Patient.name", "X12 can carry"),
        (lived(city="東京"), "Patient.address.city", "X12 can carry"),
        (lived(city="C" * 31), "Patient.address.city", "room for 30"),
        (lived(lines=("S" * 56,)), "Patient.address.line", "room for 55"),
        (lived(state="2026"), "Patient.address.state", "no state"),
        (lived(state="Texas"), "Patient.address.state", "no state"),
        (insured(member_id="M" * 500), "Claim.insurance[0].coverage", "room for 2 to 80"),
        (insured(member_id="M"), "Claim.insurance[0].coverage", "room for 2 to 80"),
        (insured(group_number="G" * 51), "Claim.insurance[0].coverage", "room for 50"),
        (replace(a_claim(), authorization="A" * 51), "Claim.insurance.preAuthRef", "room for 1 to 50"),
        (lined("1.23456"), "Claim.item[0].quantity", "is no quantity"),
        (lined("123456789"), "Claim.item[0].quantity", "is no quantity"),
        (lined("-1"), "Claim.item[0].quantity", "is no quantity"),
        (lined("NaN"), "Claim.item[0].quantity", "is no quantity"),
    ],
)
def test_what_x12_cannot_carry_is_returned_and_never_cut_or_left_empty(claim: Claim, at: str, word: str) -> None:
    found = missing(claim)
    assert [(one.at, word in one.say, bool(one.fix)) for one in found] == [(at, True, True)]


@pytest.mark.parametrize("state", ["ma", "PR", "ON", "AE"])
def test_a_state_territory_or_province_is_carried(state: str) -> None:
    assert missing(lived(state=state)) == []


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        ("NM1*IL*1*ZZTEST", "NM1*IL*1*", "NM103: NM1*IL has no name"),
        ("*MI*", "*MI*" + "9" * 80, "NM109"),
        ("N4*SAMPLETON*MA", "N4**MA", "N401: the address has no city"),
        ("N4*SAMPLETON*MA", "N4*SAMPLETON*20", "N402: '20' is no state"),
        ("N4*SAMPLETON*MA", "N4*SAMPLETON*", "N402: the address has no state"),
        ("*UN*1*", "*UN*1.23456*", "SV104"),
    ],
)
def test_what_another_sender_left_empty_or_too_long_is_named(was: str, now: str, word: str) -> None:
    whole = text()
    assert was in whole
    assert any(word in one for one in said(whole.replace(was, now, 1)))


def test_a_note_or_telephone_of_nothing_that_x12_carries_is_left_out() -> None:
    claim = a_claim()
    written = text(replace(claim, note="注", billing=replace(claim.billing, phone="none")))
    assert "NTE*" not in written
    assert "PER*IC*EXAMPLE FAMILY" not in written
