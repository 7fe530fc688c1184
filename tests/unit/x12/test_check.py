"""What a payer turns away although it can be read."""

from __future__ import annotations

import pytest

from fhir_billing.domain.claim import Claim, Frequency
from fhir_billing.domain.examples import a_claim, a_hospital_claim
from fhir_billing.x12 import check
from fhir_billing.x12.envelope import read
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
