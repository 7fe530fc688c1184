from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from fhir_billing.domain.acknowledgment import Reach
from fhir_billing.domain.claim import Adjustment, Frequency, Payer, PriorPayment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.examples import a_hospital_claim, an_insurance
from fhir_billing.domain.remittance import out_of_balance
from fhir_billing.simulator import Answer, SimState, answer, behaviours
from tests.unit.simulator.bills import (
    AT,
    answered,
    bill,
    checks,
    kinds,
    lines,
    of_kind,
    one_rule,
    said,
    scenario,
    sets,
    statuses,
    visit,
)

DAY = timedelta(days=1)
TWO_LINES = (("99213", "125.00"), ("87880", "30.00"))


def test_a_clean_claim_is_acknowledged_twice_and_paid_by_the_schedule_to_the_cent() -> None:
    how = one_rule("pays", allowed={"99213": "88.00", "87880": "18.00"}, copay="20.00")
    found = answered(bill(visit("Ada", *TWO_LINES)), how)
    assert [(kind, one.after) for kind, one in zip(kinds(found), found, strict=True)] == [
        ("999", 0 * DAY),
        ("277CA", 0 * DAY),
        ("277CA", 1 * DAY),
        ("835", 14 * DAY),
    ]
    assert [one.code for one in sets(found)] == ["A"]
    assert [one.reach for one in statuses(found)] == [Reach.RECEIVED, Reach.ACCEPTED]
    (check,) = checks(found)
    assert out_of_balance(check) == [] and check.paid == 8600
    (payment,) = check.claims
    assert lines(payment) == [
        "99213 125.00 = 68.00 + CO-45 37.00 + PR-3 20.00",
        "87880 30.00 = 18.00 + CO-45 12.00",
    ]
    assert [line.control for line in payment.lines] == ["1", "2"]
    assert payment.icn == statuses(found)[1].icn


def test_deductible_comes_before_copay_and_coinsurance_takes_a_share_of_the_rest() -> None:
    how = one_rule("pays", allowed={"*": "90%"}, deductible="50.00", copay="10.00", coinsurance="12.5%")
    (check,) = checks(answered(bill(visit("Ada", ("99213", "100.01"), ("87880", "0.03"))), how))
    assert lines(check.claims[0]) == [
        "99213 100.01 = 26.26 + CO-45 10.00 + PR-1 50.00 + PR-2 3.75 + PR-3 10.00",
        "87880 0.03 = 0.03",
    ]


def test_a_schedule_pays_by_the_unit_and_never_more_than_the_charge() -> None:
    claim = visit("Ada", ("J1100", "30.00"), ("99213", "10.00"))
    claim = replace(claim, lines=(replace(claim.lines[0], units=claim.lines[0].units * 4), claim.lines[1]))
    (check,) = checks(answered(bill(claim), one_rule("pays", allowed={"J1100": "2.50", "99213": "88.00"})))
    assert lines(check.claims[0]) == ["J1100 30.00 = 10.00 + CO-45 20.00", "99213 10.00 = 10.00"]


def test_a_stay_may_be_decided_as_a_whole_with_interest_for_being_late() -> None:
    how = one_rule(
        "pays", whole="true", allowed={"claim": "9800.00"}, deductible="1500.00", coinsurance="20%", interest="21.83"
    )
    (check,) = checks(answered(bill(a_hospital_claim()), how))
    (payment,) = check.claims
    assert said(payment) == "1 10500.00 paid 6640.00 CO-45 700.00 PR-1 1500.00 PR-2 1660.00"
    assert payment.lines == () and payment.interest == 2183
    assert [(one.reason, one.amount) for one in check.provider_adjustments] == [("L6", -2183)]
    assert check.paid == 664000 + 2183 and out_of_balance(check) == []


def test_the_second_payer_pays_what_the_first_left_to_the_patient() -> None:
    row = Adjustment
    prior = PriorPayment(
        line=1,
        paid=7840,
        procedure="99214",
        paid_on=AT.date(),
        adjustments=(
            row(group=Group.CO, reason="45", amount=5000),
            row(group=Group.CO, reason="253", amount=160),
            row(group=Group.PR, reason="2", amount=2000),
        ),
    )
    first = an_insurance(payer=Payer(id="EXM", name="Example Medicare"), rank="P", prior=(prior,), remaining=2000)
    claim = visit("Dee", ("99214", "150.00"), payer="EXC02")
    claim = replace(claim, insurance=(replace(claim.insurance[0], rank="S"), first))
    (check,) = checks(answered(bill(claim), one_rule("pays")))
    assert said(check.claims[0]) == "2 150.00 paid 20.00 OA-23 130.00"


def test_a_forwarded_claim_names_the_next_payer() -> None:
    (check,) = checks(answered(bill(visit("Dee")), one_rule("pays", crosses_over_to="EXC02")))
    assert check.claims[0].is_forwarded and check.claims[0].next_payer == "EXC02"


def test_a_rejected_set_takes_every_claim_in_it_down_and_names_the_place() -> None:
    how = scenario({"when": {"patient": "Bo"}, "does": "rejects-999"})
    data = bill(visit("Bo"), visit("Ada"))
    found = answered(data, how)
    assert kinds(found) == ["999"]
    (said_,) = sets(found)
    assert said_.code == "R" and said_.reach is Reach.REJECTED
    fault = said_.faults[-1] if said_.faults[-1].segment else said_.faults[-2]
    assert data.decode().split("~\n")[2:][fault.position - 1].startswith(fault.segment)


def test_a_claim_rejected_by_a_277ca_was_never_decided() -> None:
    how = scenario({"when": {"patient": "Bo"}, "does": "rejects-277ca", "with": {"code": "A7:562:85"}})
    found = answered(bill(visit("Bo"), visit("Ada")), how)
    bo = [one for one in statuses(found) if one.claim == "C-BO"]
    assert [(one.codes[0].category, one.codes[0].status, one.codes[0].entity, one.action) for one in bo] == [
        ("A7", "562", "85", "U")
    ]
    assert [one.claim for check in checks(found) for one in check.claims] == ["C-ADA"]


def test_a_payer_may_reject_what_the_clearinghouse_took() -> None:
    found = answered(bill(visit("Bo")), one_rule("rejects-277ca", code="A3:33", by="payer"))
    assert [(one.sender, one.reach) for one in statuses(found)] == [
        ("EXHUB", Reach.RECEIVED),
        ("EXC01", Reach.REJECTED),
    ]
    assert checks(found) == []


def test_a_denial_is_processed_as_primary_and_pays_nothing() -> None:
    (check,) = checks(answered(bill(visit("Cy", ("70551", "1240.00"))), one_rule("denies-all", remark="N706")))
    (payment,) = check.claims
    assert said(payment) == "1 1240.00 paid 0.00 CO-197 1240.00"
    assert payment.lines[0].remarks == ("N706",)
    assert check.method == "NON" and check.handling == "H" and check.paid == 0


@pytest.mark.parametrize("which", [{"line": "2"}, {"procedure": "87880"}, {}])
def test_one_line_is_denied_and_the_others_are_paid(which: dict[str, str]) -> None:
    (check,) = checks(answered(bill(visit("Jo", *TWO_LINES)), one_rule("denies-line", **which)))
    assert lines(check.claims[0]) == [
        "99213 125.00 = 100.00 + CO-45 25.00",
        "87880 30.00 = 0.00 + CO-97 30.00",
    ]


def test_silence_is_per_claim() -> None:
    how = scenario({"when": {"patient": "Gus"}, "does": "silent"})
    found = answered(bill(visit("Gus"), visit("Ada")), how)
    assert {one.claim for one in statuses(found)} == {"C-ADA"}
    assert [one.claim for check in checks(found) for one in check.claims] == ["C-ADA"]
    assert "silent" in of_kind(found, "999")[0].why
    assert answered(bill(visit("Gus")), one_rule("silent", after_the="nothing")) == []
    assert kinds(answered(bill(visit("Gus")), one_rule("silent", after_the="277CA"))) == ["999", "277CA", "277CA"]


def test_the_same_remittance_comes_three_times_and_is_one() -> None:
    how = scenario({"when": {"patient": "Kit"}, "does": "answers-twice"})
    found = of_kind(answered(bill(visit("Ada"), visit("Kit")), how), "835")
    twice = [one for one in found if b"C-KIT" in one.body]
    assert len(twice) == 3 and len({one.name for one in twice}) == 3
    assert twice[0].body == twice[1].body != twice[2].body
    assert twice[0].body.replace(b"\n", b"\r\n") == twice[2].body
    assert len({check.digest for check in checks(twice)}) == 1
    assert [b"C-ADA" in one.body for one in found] == [True, False, False, False]


@pytest.mark.parametrize(("where", "segment"), [("BPR02", "BPR02"), ("CLP04", "CLP04")])
def test_exactly_one_sum_of_an_unbalanced_remittance_fails(where: str, segment: str) -> None:
    how = scenario({"when": {"patient": "Max"}, "does": "unbalanced-835", "with": {"where": where, "by": "12.40"}})
    found = checks(answered(bill(visit("Ada"), visit("Max")), how))
    assert [[(one.segment, one.off_by) for one in out_of_balance(check)] for check in found] == [[], [(segment, 1240)]]


def test_a_take_back_is_netted_against_the_payers_next_payment() -> None:
    how = scenario({"when": {"patient": "Eli"}, "does": "takes-back", "with": {"later": "90 days"}})
    first, state = answer(bill(visit("Eli")), how, AT, SimState())
    assert [said(one.claims[0]) for one in checks(first)] == ["1 125.00 paid 100.00 CO-45 25.00"]
    soon, state = answer(bill(visit("Ada"), number=2), how, AT + 10 * DAY, state)
    assert [len(one.claims) for one in checks(soon)] == [1]
    other, state = answer(bill(visit("Bo", payer="EXC02"), number=3), how, AT + 100 * DAY, state)
    assert [len(one.claims) for one in checks(other)] == [1]
    late, state = answer(bill(visit("Cy", ("99215", "400.00")), number=4), how, AT + 100 * DAY, state)
    (check,) = checks(late)
    assert [said(one) for one in check.claims] == [
        "1 400.00 paid 320.00 CO-45 80.00",
        "22 -125.00 paid -100.00 CO-45 -25.00",
        "1 125.00 paid 0.00 PR-27 125.00",
    ]
    assert check.paid == 22000 and out_of_balance(check) == []
    assert check.claims[1].icn == checks(first)[0].claims[0].icn != check.claims[2].icn
    again, _ = answer(bill(visit("Dee"), number=5), how, AT + 200 * DAY, state)
    assert [len(one.claims) for one in checks(again)] == [1]


def test_a_take_back_may_be_netted_in_the_same_file() -> None:
    rule = {"when": {"patient": "Eli"}, "does": "takes-back", "with": {"later": "0", "against": "same-file"}}
    found = checks(answered(bill(visit("Eli"), visit("Ada"), visit("Cy", ("99215", "400.00"))), scenario(rule)))
    assert [[said(one)[:18] for one in check.claims] for check in found] == [
        ["1 125.00 paid 100.", "1 125.00 paid 100."],
        ["1 400.00 paid 320.", "22 -125.00 paid -1", "1 125.00 paid 0.00"],
    ]
    assert [out_of_balance(check) for check in found] == [[], []]


def test_what_a_check_cannot_take_back_is_forwarded_to_the_next() -> None:
    rule = {"when": {"patient": "Eli"}, "does": "takes-back", "with": {"later": "0", "against": "same-file"}}
    first, state = answer(bill(visit("Eli")), scenario(rule), AT, SimState())
    paid, back = checks(first)
    assert (paid.paid, back.paid, back.method) == (10000, 0, "NON")
    assert [(one.reason, one.amount) for one in back.provider_adjustments] == [("FB", -10000)]
    second, state = answer(bill(visit("Cy", ("99215", "400.00")), number=2), scenario(rule), AT, state)
    (check,) = checks(second)
    assert [(one.reason, one.amount) for one in check.provider_adjustments] == [("FB", 10000)]
    assert check.paid == 22000 and out_of_balance(check) == [] and not state.forwarded


def test_an_appeal_that_is_won_reverses_the_denial_and_pays() -> None:
    how = one_rule("pays-after-appeal", allowed={"70551": "610.00"}, coinsurance="20%", appeal="30 days")
    found = answered(bill(visit("Cy", ("70551", "1240.00"))), how)
    denial, won = checks(found)
    assert [one.after for one in of_kind(found, "835")] == [14 * DAY, 44 * DAY]
    assert [said(one) for one in denial.claims] == ["1 1240.00 paid 0.00 CO-197 1240.00"]
    assert [said(one) for one in won.claims] == [
        "22 -1240.00 paid 0.00 CO-197 -1240.00",
        "1 1240.00 paid 488.00 CO-45 630.00 PR-2 122.00",
    ]
    assert won.paid == 48800


def test_a_pended_claim_is_told_of_in_a_277_and_may_be_paid_later() -> None:
    found = answered(bill(visit("Pat")), one_rule("pends", code="P2:46", paid_after="40 days"))
    assert kinds(found) == ["999", "277CA", "277CA", "277", "835"]
    assert [one.reach for one in statuses(found, "277")] == [Reach.PENDED]
    assert statuses(found, "277")[0].claim == "C-PAT"
    assert kinds(answered(bill(visit("Pat")), one_rule("pends"))) == ["999", "277CA", "277CA", "277"]


def test_a_split_claim_comes_back_as_two() -> None:
    found = checks(answered(bill(visit("Ada", *TWO_LINES)), one_rule("partially")))
    assert [said(check.claims[0]) for check in found] == [
        "1 125.00 paid 100.00 CO-45 25.00",
        "1 30.00 paid 24.00 CO-45 6.00",
    ]
    assert len({check.claims[0].icn for check in found}) == 2


def test_a_replacement_reverses_what_it_replaces_in_one_remittance() -> None:
    first, state = answer(bill(visit("Jo", *TWO_LINES)), one_rule("denies-line"), AT, SimState())
    (old,) = checks(first)[0].claims
    again = visit(
        "Jo", *TWO_LINES, number="C-JO-R1", frequency=Frequency.REPLACEMENT, payer_icn=old.icn, replaces="C-JO"
    )
    second, state = answer(bill(again, number=2), one_rule("pays"), AT, state)
    (check,) = checks(second)
    assert [(one.claim, said(one)) for one in check.claims] == [
        ("C-JO", "22 -155.00 paid -100.00 CO-45 -25.00 CO-97 -30.00"),
        ("C-JO-R1", "1 155.00 paid 124.00 CO-45 31.00"),
    ]
    assert check.paid == 2400 and set(state.standing) == {"C-JO-R1"}
    void = visit(
        "Jo", *TWO_LINES, number="C-JO-V1", frequency=Frequency.VOID, payer_icn=check.claims[1].icn, replaces="C-JO-R1"
    )
    third, state = answer(bill(void, number=3), one_rule("pays"), AT, state)
    assert [said(one) for one in checks(third)[0].claims] == ["22 -155.00 paid -124.00 CO-45 -31.00"]
    assert not state.standing


def test_a_replacement_of_nothing_we_know_is_rejected() -> None:
    claim = visit("Jo", number="C-JO-R1", frequency=Frequency.REPLACEMENT, payer_icn="EX77")
    found = answered(bill(claim), one_rule("pays"))
    assert [one.reach for one in statuses(found)] == [Reach.RECEIVED, Reach.REJECTED]
    assert checks(found) == []


@pytest.mark.parametrize("name", behaviours.names())
def test_every_behaviour_answers_the_same_way_every_time_and_says_why(name: str) -> None:
    data = bill(visit("Ada", *TWO_LINES), visit("Bo"))
    first, state = answer(data, one_rule(name), AT, SimState())
    second, same = answer(data, one_rule(name), AT, SimState())
    assert first == second and state == same
    assert all("C-ADA" in one.why or "C-BO" in one.why for one in first)
    assert all(early.after <= late.after for early, late in pairwise(first))
    assert len({one.name for one in first}) == len(first)


def test_behaviours_are_those_that_the_stories_need() -> None:
    assert set(behaviours.names()) >= {
        "pays", "rejects-999", "rejects-277ca", "denies-line", "denies-all", "silent", "answers-twice", "unbalanced-835",
        "takes-back", "pays-after-appeal", "pends", "partially",
    }  # fmt: skip


def test_reasons_are_kept_for_silent_claims_too() -> None:
    found: list[Answer] = answered(bill(visit("Gus")), one_rule("silent"))
    assert "silent after the 999" in found[0].why
