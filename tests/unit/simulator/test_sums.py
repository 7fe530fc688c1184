"""Whatever is billed and whatever the terms are: each line, each claim and the check add up, and a reversal undoes all of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_line
from fhir_billing.domain.money import show
from fhir_billing.domain.remittance import out_of_balance
from fhir_billing.simulator import SimState, answer, behaviours
from tests.unit.simulator.bills import AT, bill, checks, scenario, visit

PERCENT = st.integers(0, 10_000).map(lambda part: f"{part // 100}.{part % 100:02d}%")
DOLLARS = st.integers(0, 60_000).map(show)
TERMS = st.fixed_dictionaries(
    {},
    optional={
        "allowed": st.fixed_dictionaries({"*": PERCENT | DOLLARS}, optional={"99213": PERCENT | DOLLARS}),
        "copay": DOLLARS,
        "deductible": DOLLARS,
        "coinsurance": PERCENT,
        "sequestration": PERCENT,
        "whole": st.sampled_from(["true", "false"]),
    },
)
LINES = st.lists(
    st.builds(
        lambda code, charge, units: {"procedure": code, "charge": charge, "units": Decimal(units)},
        st.sampled_from(["99213", "87880", "J1100"]),
        st.integers(0, 5_000_000),
        st.integers(1, 400),
    ),
    min_size=1,
    max_size=8,
)


def claim_of(name: str, lines: list[dict[str, Any]]) -> Claim:
    numbered = tuple(a_line("2026-03-02", number=count, **facts) for count, facts in enumerate(lines, 1))
    return visit(name, lines=numbered)


@given(st.lists(LINES, min_size=1, max_size=4), TERMS, st.sampled_from(behaviours.names()))
def test_every_remittance_adds_up_but_the_one_that_is_meant_not_to(
    claims: list[list[dict[str, Any]]], terms: dict[str, Any], name: str
) -> None:
    how = scenario({"when": {"patient": "P0"}, "does": name}, terms={"*": terms})
    data = bill(*(claim_of(f"P{count}", lines) for count, lines in enumerate(claims)))
    found, state = answer(data, how, AT, SimState())
    for check in checks(found):
        assert len(out_of_balance(check)) == (name == "unbalanced-835" and check.claims[0].claim == "C-P0")
        assert check.paid >= 0
        for payment in check.claims:
            assert payment.is_reversal or 0 <= payment.paid <= payment.charge
    assert answer(data, how, AT, state)[0] == []


@given(LINES, TERMS)
def test_a_payment_and_its_reversal_are_nothing(lines: list[dict[str, Any]], terms: dict[str, Any]) -> None:
    rule = {"does": "takes-back", "with": {"later": "0", "against": "same-file"}}
    found = checks(answer(bill(claim_of("Eli", lines)), scenario(rule, terms={"*": terms}), AT, SimState())[0])
    paid, back = found[0].claims[0], found[1].claims[0]
    assert back.is_reversal
    assert (paid.charge + back.charge, paid.paid + back.paid) == (0, 0)
    assert [(a.group, a.reason, -a.amount) for a in paid.all_adjustments()] == [
        (a.group, a.reason, a.amount) for a in back.all_adjustments()
    ]
