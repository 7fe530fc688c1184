from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_billing.domain.acknowledgment import InterchangeAcknowledgment, Reach
from fhir_billing.domain.examples import a_hospital_claim
from fhir_billing.simulator import SimState, answer
from fhir_billing.x12.envelope import read
from fhir_billing.x12.read_acks import acknowledgments
from tests.unit.simulator.bills import (
    AT,
    answered,
    bill,
    checks,
    kinds,
    one_rule,
    said,
    scenario,
    sets,
    statuses,
    visit,
)

PAYS = one_rule("pays")
GOOD = bill(visit("Ada"))


def ta1(data: bytes) -> InterchangeAcknowledgment:
    (found,) = answered(data, PAYS)
    (one,) = acknowledgments(found.body)
    assert isinstance(one, InterchangeAcknowledgment)
    return one


@pytest.mark.parametrize(
    ("data", "control", "reason"),
    [
        (b"hello", "000000000", "022"),
        (b"", "000000000", "022"),
        (GOOD[:-40], "000000001", "023"),
        (GOOD.replace(b"IEA*1*000000001", b"IEA*1*000000002"), "000000001", "001"),
        (GOOD.replace(b"IEA*1*", b"IEA*2*"), "000000001", "021"),
        (GOOD.replace(b"GE*1*1", b"GE*2*1"), "000000001", "024"),
    ],
)
def test_a_broken_interchange_is_turned_away_with_the_number_it_had(data: bytes, control: str, reason: str) -> None:
    found = ta1(data)
    assert (found.control, found.code, found.reason) == (control, "R", reason)


@pytest.mark.parametrize(
    ("data", "segment", "element"),
    [
        (GOOD.replace(b"SE*", b"SE*1"), "", ""),
        (GOOD.replace(b"CLM*C-ADA*125", b"CLM*C-ADA*125.001"), "CLM", "2"),
        (GOOD.replace(b"CLM*C-ADA*125", b"CLM*C-ADA*124"), "CLM", "2"),
        (GOOD.replace(b"D8*20260302", b"D8*20260230"), "DTP", "3"),
        (GOOD.replace(b"XX*1234567893", b"XX*1234567890"), "NM1", "9"),
    ],
)
def test_a_set_that_breaks_its_guide_is_rejected_with_the_place(data: bytes, segment: str, element: str) -> None:
    found = answered(data, PAYS)
    assert kinds(found) == ["999"]
    (one,) = sets(found)
    assert one.reach is Reach.REJECTED
    if segment:
        places = {(fault.segment, fault.element) for fault in one.faults}
        assert (segment, element) in places
        texts = data.decode().split("~\n")[2:]
        assert all(texts[f.position - 1].startswith(f.segment) for f in one.faults if f.segment)
    assert "rejected" in found[0].why


def test_the_same_interchange_again_is_no_new_bill() -> None:
    first, state = answer(GOOD, PAYS, AT, SimState())
    again, state = answer(GOOD, PAYS, AT + timedelta(days=1), state)
    breaks, state = answer(GOOD.replace(b"\n", b"\r\n"), PAYS, AT + timedelta(days=1), state)
    assert len(checks(first)) == 1 and again == breaks == []


def test_the_same_control_number_with_other_content_is_a_duplicate() -> None:
    _, state = answer(GOOD, PAYS, AT, SimState())
    found, state = answer(bill(visit("Bo")), PAYS, AT, state)
    (one,) = acknowledgments(found[0].body)
    assert isinstance(one, InterchangeAcknowledgment) and (one.code, one.reason) == ("R", "025")
    assert len(found) == 1 and set(state.standing) == {"C-ADA"}


def test_a_claim_decided_before_is_denied_as_a_duplicate_not_paid_twice() -> None:
    _, state = answer(GOOD, PAYS, AT, SimState())
    found, _ = answer(bill(visit("Ada"), number=2), PAYS, AT, state)
    assert [said(one) for check in checks(found) for one in check.claims] == ["1 125.00 paid 0.00 OA-18 125.00"]


def test_attempts_are_counted_so_that_a_claim_sent_again_may_do_better() -> None:
    how = scenario(
        {"when": {"patient": "Bo", "attempt": "1"}, "does": "rejects-999"},
        {"when": {"patient": "Bo", "attempt": "2"}, "does": "rejects-277ca"},
    )
    first, state = answer(bill(visit("Bo"), visit("Ada")), how, AT, SimState())
    second, state = answer(bill(visit("Bo"), number=2), how, AT, state)
    third, state = answer(bill(visit("Bo"), number=3), how, AT, state)
    assert [one.code for one in sets(first)] == ["R"]
    assert [one.reach for one in statuses(second)] == [Reach.REJECTED]
    assert [said(one) for check in checks(third) for one in check.claims] == ["1 125.00 paid 100.00 CO-45 25.00"]


def test_one_file_may_hold_a_good_set_and_a_bad_one() -> None:
    good, other = bill(visit("Ada")).decode(), bill(visit("Bo")).decode()
    set_of = (
        other[other.index("ST*") : other.index("GE*")]
        .replace("ST*837*0001", "ST*837*0002")
        .replace("*0001~\n", "*0002~\n")
    )
    bad = set_of.replace("CLM*C-BO*125", "CLM*C-BO*1X5")
    both = good.replace("GE*1*", f"{bad}GE*2*")
    found = answered(both.encode(), PAYS)
    assert [(one.set_control, one.code, one.group_code) for one in sets(found)] == [
        ("0001", "A", "P"),
        ("0002", "R", "P"),
    ]
    assert [one.claim for check in checks(found) for one in check.claims] == ["C-ADA"]


def test_claims_of_one_payee_share_a_check_and_two_payers_write_two() -> None:
    found = checks(answered(bill(visit("Ada"), visit("Bo")), PAYS))
    assert [[one.claim for one in check.claims] for check in found] == [["C-ADA", "C-BO"]]
    two = bill(visit("Ada")) + bill(visit("Bo", payer="EXC02"), number=2)
    assert len(checks(answered(two, PAYS))) == 2


def test_a_test_file_is_answered_by_test_files() -> None:
    found = answered(bill(visit("Ada"), test=True), PAYS)
    assert found
    assert all(interchange.is_test for one in found for interchange in read(one.body).interchanges)


def test_an_acknowledgment_is_not_acknowledged() -> None:
    for one in answered(GOOD, PAYS):
        assert answered(one.body, PAYS) == []


def test_control_numbers_and_names_never_come_twice() -> None:
    state = SimState()
    names: list[str] = []
    traces: list[str] = []
    for number in range(1, 6):
        found, state = answer(
            bill(visit("Ada", number=f"C-{number}"), number=number), one_rule("answers-twice"), AT, state
        )
        names += [one.name for one in found]
        traces += [check.trace for check in checks(found)][:1]
    assert len(set(names)) == len(names)
    assert len(set(traces)) == len(traces)


def test_a_hospital_is_answered_too() -> None:
    (check,) = checks(answered(bill(a_hospital_claim()), PAYS))
    (payment,) = check.claims
    assert [(line.procedure, line.revenue_code) for line in payment.lines] == [("0120", "0120"), ("0360", "0360")]
    assert payment.paid == 840000


def test_a_lenient_payer_takes_what_a_clearinghouse_would_not() -> None:
    claim = bill(visit("Ada")).replace(b"XX*1234567893", b"XX*1234567890")
    assert kinds(answered(claim, scenario(strict="false"))) == ["999", "277CA", "277CA", "835"]


def test_the_state_that_goes_in_is_not_changed() -> None:
    before = SimState()
    _, after = answer(GOOD, PAYS, AT, before)
    assert before == SimState() and after != before
    kept = replace(after)
    answer(bill(visit("Bo"), number=2), PAYS, AT, after)
    assert after == kept
