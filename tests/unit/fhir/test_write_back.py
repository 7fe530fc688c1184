"""What is written into a chart is valid FHIR, says the truth of 6.1's table, and adds up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.adjudication import CARC, CATEGORY, GROUP, RARC, DecidedLine, Decision
from fhir_billing.fhir.claim_response import OUTCOME, claim_response
from fhir_billing.fhir.explanation_of_benefit import explanation_of_benefit
from fhir_billing.fhir.ours import CLAIM_NUMBER, TAG
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.task import BILLING_STATUS, STATUS, code_system, task
from fhir_billing.fhir.text import dumps, loads
from tests.unit.mapping.visits import chart, draft

CLAIM: dict[str, Any] = draft(chart()).claims[0].resource
S = State


def adjusted(group: str, reason: str, amount: int) -> Adjustment:
    return Adjustment(group=Group(group), reason=reason, amount=amount)


ADA = Decision(
    charge=15500, paid=8600, patient=2000, icn="EX77", on="2026-03-16", trace="T-1",
    lines=(
        DecidedLine(sequence=1, charge=12500, paid=6800, adjustments=(adjusted("CO", "45", 3700), adjusted("PR", "3", 2000))),
        DecidedLine(sequence=2, charge=3000, paid=1800, adjustments=(adjusted("CO", "45", 1200),), remarks=("N130",)),
    ),
)  # fmt: skip


def a_task(state: State, **more: Any) -> dict[str, Any]:
    known = {"patient": "Patient/p", "encounter": "Encounter/e", "since": "2026-03-02T10:00:00+00:00"}
    return task(number="C-1", state=state, claim_is_written=True, **known, **more)


def response(state: State, decision: Decision | None = None) -> dict[str, Any]:
    return claim_response(
        CLAIM, number="C-1", state=state, created="2026-03-16T10:00:00+00:00", say="Said", decision=decision
    )


@pytest.mark.parametrize("state", list(State))
def test_the_living_status_is_a_valid_task_in_every_state(state: State) -> None:
    found = a_task(state, why="The ZIP code is missing")
    assert complaints({**found, "focus": {"reference": "Claim/1"}}) == []
    assert found["identifier"] == [{"use": "official", "system": CLAIM_NUMBER, "value": "C-1"}]
    assert found["meta"]["tag"] == [TAG]
    assert found["owner"]["display"]


@pytest.mark.parametrize(
    ("state", "status", "business"),
    [
        (S.DRAFTED, "draft", "drafted"), (S.HELD, "on-hold", "needs-information"), (S.READY, "ready", "ready"),
        (S.QUEUED, "requested", "queued"), (S.SENT, "requested", "sent"), (S.RECEIVED, "received", "received"),
        (S.REJECTED, "failed", "rejected"), (S.ACCEPTED, "accepted", "in-adjudication"), (S.PENDED, "in-progress", "pended"),
        (S.QUERIED, "on-hold", "information-requested"), (S.PAID, "completed", "adjudicated"), (S.DENIED, "completed", "denied"),
        (S.APPEALED, "in-progress", "appealed"), (S.CLOSED, "completed", "closed"), (S.VOIDED, "cancelled", "voided"),
    ],
)  # fmt: skip
def test_a_task_says_what_the_table_says(state: State, status: str, business: str) -> None:
    found = a_task(state)
    assert found["status"] == status
    assert found["businessStatus"]["coding"] == [
        {"system": BILLING_STATUS, "code": business, "display": STATUS[state][2]}
    ]


def test_every_status_is_in_the_code_system_that_we_publish() -> None:
    published = code_system()
    assert complaints(published) == []
    codes = [row["code"] for row in published["concept"]]
    assert len(codes) == len(set(codes)) == len(State)


@pytest.mark.parametrize(("state", "outcome"), OUTCOME.items())
def test_a_claim_response_is_valid_and_only_a_rejection_is_an_error(state: State, outcome: str) -> None:
    found = response(state, ADA if outcome == "complete" else None)
    assert complaints({**found, "request": {"reference": "Claim/1"}}) == []
    assert (found["outcome"] == "error") == (state is State.REJECTED)
    assert ("error" in found) == (state is State.REJECTED)


def test_a_denial_is_complete_and_its_reason_is_told() -> None:
    denied = Decision(
        charge=124000, paid=0, patient=0, lines=(DecidedLine(sequence=1, charge=124000, paid=0, adjustments=(adjusted("CO", "197", 124000),)),)
    )  # fmt: skip
    found = response(State.DENIED, denied)
    assert found["outcome"] == "complete"
    (row,) = [r for r in found["item"][0]["adjudication"] if "reason" in r]
    assert row["reason"]["coding"] == [{"system": CARC, "code": "197"}]
    assert row["category"]["coding"] == [{"system": GROUP, "code": "CO"}]
    assert row["amount"] == {"value": Decimal("1240.00"), "currency": "USD"}


def code_of(row: dict[str, Any]) -> str:
    return str(row["category"].get("coding", [{"code": "-"}])[0]["code"])


def test_each_line_adds_up_submitted_less_adjustments_is_the_benefit() -> None:
    found = response(State.PAID, ADA)
    for item in found["item"]:
        rows = item["adjudication"]
        money = {"submitted": Decimal(0), "benefit": Decimal(0)}
        less = sum(r["amount"]["value"] for r in rows if "amount" in r and "reason" in r)
        for row in rows:
            if code_of(row) in money:
                money[code_of(row)] = row["amount"]["value"]
        assert money["submitted"] - less == money["benefit"]
    assert [code_of(r) for r in found["item"][0]["adjudication"]] == ["submitted", "CO", "copay", "benefit"]
    assert found["item"][0]["adjudication"][2]["category"]["coding"][0]["system"] == CATEGORY
    assert found["item"][1]["adjudication"][-1]["reason"]["coding"] == [{"system": RARC, "code": "N130"}]
    assert found["payment"]["amount"]["value"] == Decimal("86.00")
    assert found["payment"]["identifier"] == {"value": "T-1"}


def test_an_explanation_of_benefit_is_valid_and_keeps_the_claims_lines() -> None:
    found = explanation_of_benefit(CLAIM, number="C-1", created="2026-03-16T10:00:00+00:00", say="Paid", decision=ADA)
    checked = {**found, "claim": {"reference": "Claim/1"}, "claimResponse": {"reference": "ClaimResponse/1"}}
    assert complaints(checked) == []
    assert [i["sequence"] for i in found["item"]] == [i["sequence"] for i in CLAIM["item"]]
    assert "contained" not in found
    assert b"extension" not in dumps(found["patient"]) + dumps(found["insurance"])
    assert {code_of(t): t["amount"]["value"] for t in found["total"]} == {
        "submitted": Decimal("155.00"),
        "benefit": Decimal("86.00"),
        "PR": Decimal("20.00"),
    }


def test_amounts_keep_two_decimals_on_the_wire() -> None:
    text = dumps(response(State.PAID, ADA))
    assert b'"value":86.00' in text
    assert loads(text) == response(State.PAID, ADA)


def test_what_is_no_resource_of_ours_is_not_judged_by_guess() -> None:
    assert complaints({}) == ["a resource without a type: not one that is read or written here"]
    assert complaints({"resourceType": "os"})[0].startswith("os: not one")
    assert complaints({"resourceType": "Claim", "item": [{"net": {"value": "x"}}]})[0].startswith("Claim.")
