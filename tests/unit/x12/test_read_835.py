"""A remittance as read: what was decided, where it stands, and that it adds up."""

from __future__ import annotations

import pytest

from fhir_billing.domain.remittance import out_of_balance
from fhir_billing.x12 import read_835
from fhir_billing.x12.envelope import Refused, read
from tests.unit.x12.samples import a_remittance, written


def test_what_was_decided_is_read_with_its_positions() -> None:
    (one,) = read_835.remittances(written(a_remittance()))
    assert (one.payer_id, one.trace, one.paid) == ("1999999999", "TRACE-1", 7500)
    (payment,) = one.claims
    assert payment.lines[0].adjustments == a_remittance().claims[0].lines[0].adjustments
    assert one.provider_adjustments[0].amount == 2500
    assert out_of_balance(one) == []
    data = written(a_remittance())
    (raw,) = read(data).sets
    assert raw.segments[payment.position - 1].startswith("CLP*C-EXAMPLE00001")
    assert raw.segments[payment.lines[0].position - 1].startswith("SVC*HC:99213:25")
    assert raw.segments[one.position - 1].startswith("BPR*")


def test_line_breaks_delimiters_and_numbers_do_not_change_the_digest() -> None:
    data = written(a_remittance())
    digest = read_835.remittances(data)[0].digest
    for changed in (
        data.replace(b"~\n", b"~"),
        data.replace(b"~\n", b"~\r\n"),
        data.replace(b"*", b"|"),
        data.replace(b"*0001", b"*0009"),
    ):
        assert read_835.remittances(changed)[0].digest == digest
    assert read_835.remittances(data.replace(b"TRACE-1", b"TRACE-2"))[0].digest != digest


@pytest.mark.parametrize(
    ("was", "now", "place"),
    [
        (b"*125*100*10*12", b"*1,25*100*10*12", "CLP03"),
        (b"*125*100*10*12", b"*+125*100*10*12", "CLP03"),
        (b"*125*100*10*12", b"*125.001*100*10*12", "CLP03"),
        (b"BPR*I*75", b"BPR*I*", "BPR02"),
        (b"CAS*CO*45*15", b"CAS*CO*45*1O", "CAS03"),
        (b"DTM*472*20260110", b"DTM*472*20260230", "DTM02"),
        (b"FB:ICN0*25", b"FB:ICN0*2S", "PLB04"),
    ],
)
def test_an_amount_or_date_that_cannot_be_read_refuses_the_file(was: bytes, now: bytes, place: str) -> None:
    data = written(a_remittance())
    assert was in data
    with pytest.raises(Refused) as caught:
        read_835.remittances(data.replace(was, now, 1))
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("was", "now", "place"),
    [
        (b"BPR*I*75", b"BPR*I*76", "BPR02"),
        (b"*125*100*10*12", b"*125*101*10*12", "CLP04"),
        (b"*125*100**1", b"*125*99**1", "SVC03"),
    ],
)
def test_a_sum_that_fails_is_shown_with_its_arithmetic(was: bytes, now: bytes, place: str) -> None:
    data = written(a_remittance())
    assert was in data
    (raw,) = read(data.replace(was, now, 1)).sets
    remittance, wrong = read_835.decode(raw)
    assert wrong == []
    found = read_835.imbalances(raw, remittance)
    assert place in [one.place.split()[-1] for one in found]
    assert all(" = " in one.say for one in found)


def test_a_reversal_mirrors_what_it_takes_back() -> None:
    data = written(a_remittance()).replace(b"CLP*C-EXAMPLE00001*1*125*100", b"CLP*C-EXAMPLE00001*22*-125*-100")
    assert read_835.remittances(data)[0].claims[0].is_reversal


def test_a_code_cut_off_by_the_wrong_separator_is_put_back_only_when_the_line_then_balances() -> None:
    data = written(a_remittance()).replace(b"SVC*HC:99213:25*", b"SVC*HC*99213*")
    (line,) = read_835.remittances(data)[0].claims[0].lines
    assert (line.procedure, line.charge, line.paid) == ("99213", 12500, 10000)
    (raw,) = read(data.replace(b"*125*100**1", b"*126*100**1")).sets
    remittance, _ = read_835.decode(raw)
    assert read_835.imbalances(raw, remittance)


def test_interest_on_a_claim_is_information_and_never_money() -> None:
    data = written(a_remittance()).replace(b"SVC*HC:99213", b"AMT*I*3~\nSVC*HC:99213").replace(b"SE*23", b"SE*24")
    (raw,) = read(data).sets
    one, _ = read_835.decode(raw)
    assert one.claims[0].interest == 300
    assert out_of_balance(one) == []
