"""A card says one thing that is missing, and nothing when nothing is."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fhir_billing.cds import all_hooks
from fhir_billing.cds.card import Card, as_json, marked, plain
from fhir_billing.cds.hook import Call, filled
from fhir_billing.cds.missing import changes
from fhir_billing.domain.question import Question
from fhir_billing.mapping.site import Clinicians, Site
from tests.unit.mapping import visits

Resource = dict[str, Any]
DAY = date(2026, 1, 10)
PATIENT = {"reference": "Patient/p"}


def site(**settings: Any) -> Site:
    found = copy.copy(visits.site())
    found.edits = {**found.edits, **settings}
    return found


def call(hook: str, *, on: Site | None = None, orders: tuple[Resource, ...] = (), **known: Any) -> Call:
    chart: dict[str, Any] = {
        "patient": (visits.PATIENT,),
        "encounter": ({**visits.ENCOUNTER, "status": "in-progress"},),
        "coverages": (visits.COVERAGE, visits.PAYER),
        "conditions": (visits.CONDITION,),
        "problems": (),
        "procedures": (),
        "charges": (),
        "immunizations": (),
    } | known
    found = {key: chart[key] for key in all_hooks()[hook].prefetch if chart[key] is not None}
    needs = all_hooks()[hook].needs
    made = Call(
        hook=all_hooks()[hook].hook, instance="i", user="Practitioner/dr", patient="Patient/p",
        encounter="Encounter/e" if "encounterId" in needs else "", orders=orders, known=found, site=on or site(), today=DAY,
    )  # fmt: skip
    return replace(made, orders=orders)


def said(made: Call) -> list[str]:
    hook = next(h for h in all_hooks().values() if h.hook == made.hook)
    return [card.summary for card in hook.answer(made)]


@pytest.mark.parametrize("hook", sorted(all_hooks()))
def test_a_chart_that_lacks_nothing_gives_no_card(hook: str) -> None:
    assert said(call(hook)) == []


@pytest.mark.parametrize("hook", sorted(all_hooks()))
def test_a_chart_of_which_nothing_is_known_gives_no_card(hook: str) -> None:
    nothing = dict.fromkeys(all_hooks()[hook].prefetch)
    assert said(call(hook, orders=(order("70551"),), **nothing)) == []


def test_each_question_that_holds_the_bill_is_a_card_of_its_own() -> None:
    assert said(call("billing-encounter-discharge", conditions=())) == ["Why was the patient seen?"]


def test_a_condition_of_another_visit_is_a_choice_and_no_diagnosis() -> None:
    other = {**visits.CONDITION, "id": "o", "encounter": {"reference": "Encounter/other"}}
    other["code"] = {"coding": [{"system": visits.ICD, "code": "M17.11", "display": "Right knee"}]}
    found = call("billing-encounter-discharge", conditions=(), problems=(other,))
    (card,) = all_hooks()["billing-encounter-discharge"].answer(found)
    assert [one.label for one in card.suggestions] == ["Right knee"]


@pytest.mark.parametrize("state", ["resolved", "inactive", "remission"])
def test_a_condition_that_is_over_is_no_choice(state: str) -> None:
    old = {k: v for k, v in visits.CONDITION.items() if k != "encounter"}
    old = {**old, "code": {"coding": [{"system": visits.ICD, "code": "M17.11", "display": "Right knee"}]}}
    found = call("billing-encounter-discharge", conditions=(), problems=({**old, "clinicalStatus": coded(state)},))
    (card,) = all_hooks()["billing-encounter-discharge"].answer(found)
    assert card.suggestions == ()


def coded(code: str) -> Resource:
    return {"coding": [{"code": code}]}


# ---- coverage ----------------------------------------------------------------------------------


def over(**changes: Any) -> tuple[Resource, ...]:
    return ({**visits.COVERAGE, **changes}, visits.PAYER)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"period": {"end": "2026-01-09"}}, True),
        ({"period": {"end": "2026-01-10"}}, False),
        ({"period": {"start": "2026-01-11"}}, True),
        ({"status": "cancelled"}, True),
        ({"status": "entered-in-error"}, False),
        ({"status": "nonsense"}, False),
        ({"period": {"end": "soon"}}, False),
        ({"period": {"end": "2026"}}, False),
        ({"period": {"end": "2025"}}, True),
        ({"payor": [PATIENT], "period": {"end": "2020-01-01"}}, False),
        ({"beneficiary": {"reference": "Patient/q"}}, False),
    ],
)
def test_a_coverage_is_told_when_it_is_surely_not_in_force(changes: Resource, told: bool) -> None:
    expected = ["No coverage on file is active on 2026-01-10."] if told else []
    assert said(call("billing-patient-view", coverages=over(**changes))) == expected
    assert said(call("billing-encounter-start", coverages=over(**changes))) == expected


def test_another_coverage_in_force_is_enough() -> None:
    both = (*over(period={"end": "2026-01-09"}), {**visits.COVERAGE, "id": "v2", "order": 2})
    assert said(call("billing-patient-view", coverages=both)) == []


def test_an_appointment_is_judged_by_its_own_day() -> None:
    booked = {"resourceType": "Appointment", "id": "a", "status": "proposed", "start": "2026-06-01T09:00:00-04:00"}
    ends = over(period={"end": "2026-03-31"})
    found = said(call("billing-appointment-book", coverages=ends, orders=(booked,)))
    assert found == ["No coverage on file is active on 2026-06-01."]
    assert said(call("billing-appointment-book", coverages=ends, orders=({**booked, "status": "cancelled"},))) == []


# ---- orders ------------------------------------------------------------------------------------


def order(wanted: str, /, **more: Any) -> Resource:
    return {
        "resourceType": "ServiceRequest", "id": "sr", "status": "draft", "subject": PATIENT,
        "code": visits.coded(visits.CPT, wanted), "reasonCode": [{"text": "why"}], **more,
    }  # fmt: skip


ASKS = {"prior-auth-missing": {"procedures": ["70551", "99*"]}}


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        (order("70551"), True),
        (order("99213"), True),
        (order("70552"), False),
        (order("70551", insurance=[{"reference": "ClaimResponse/asked"}]), False),
        (order("70551", insurance=[{"reference": "Coverage/v"}]), True),
        (order("70551", status="revoked"), False),
        (order("70551", code={"text": "70551"}), False),
        (order("70551", code="70551"), False),
        (order("70551", code={"coding": [{"code": 70551}]}), False),
    ],
)
def test_an_order_on_the_payers_list_is_told_before_it_is_signed(draft: Resource, told: bool) -> None:
    cards = said(call("billing-order-sign", on=site(**ASKS), orders=(draft,)))
    assert bool(cards) is told and all("wants to be asked before" in one for one in cards)


def test_an_edit_that_the_site_has_silenced_makes_no_card() -> None:
    quiet = {"prior-auth-missing": {**ASKS["prior-auth-missing"], "severity": "none"}}
    assert said(call("billing-order-sign", on=site(**quiet), orders=(order("70551"),))) == []


def test_an_order_without_a_reason_may_take_one_of_the_charts() -> None:
    old = {**visits.CONDITION, "id": "old", "encounter": {"reference": "Encounter/x"}}
    old["code"] = {"text": "Headache"}
    found = call("billing-order-select", orders=(order("70551", reasonCode=None),), problems=(old,))
    (card,) = all_hooks()["billing-order-select"].answer(found)
    assert card.summary == "Why is 70551 ordered?"
    (one,) = card.suggestions
    (action,) = one.actions
    assert (one.label, action.kind) == ("Headache", "update")
    assert action.resource["reasonReference"] == [{"reference": "Condition/old", "display": "Headache"}]
    assert action.resource["id"] == "sr"


# ---- what people asked, and money ---------------------------------------------------------------


def test_what_billing_asked_about_another_visit_is_answered_on_our_page() -> None:
    asked = Question(key="asked:1", kind="asked", encounter="Encounter/x", ask="Which knee was treated?")
    found = replace(call("billing-patient-view"), asked=(asked,))
    (card,) = all_hooks()["billing-patient-view"].answer(found)
    assert card.summary == "Which knee was treated?" and card.link and not card.suggestions


def test_an_expected_cost_that_is_not_known_gives_no_card_and_is_never_beside_a_question() -> None:
    shown = copy.copy(visits.site())
    shown.clinicians = Clinicians(see_charges=True)
    book = call("billing-appointment-book", on=shown)
    assert said(book) == []
    assert said(replace(book, expected=2500)) == ["The patient will owe about $25.00."]
    assert said(replace(call("billing-appointment-book"), expected=2500)) == []
    for hook in set(all_hooks()) - {"billing-appointment-book"}:
        assert not any("$" in one for one in said(replace(call(hook, on=shown, conditions=()), expected=2500)))


def test_more_cards_than_a_reader_reads_are_not_shown() -> None:
    asked = tuple(
        Question(key=f"asked:{n}", kind="asked", encounter="Encounter/x", ask=f"Which {n}?") for n in range(9)
    )
    assert len(said(replace(call("billing-patient-view"), asked=asked))) == 4


# ---- words -------------------------------------------------------------------------------------


def test_a_long_summary_is_cut_below_140_signs() -> None:
    found = as_json(Card(key="k", summary="x" * 500), instance="i", hook="h", label="Clinic", launch="")
    assert len(found["summary"]) == 139 and "links" not in found


@pytest.mark.parametrize("text", ["a\u202eb", "a\x00b", "a\nb", "a\u200bb", "a\ud800b"])
def test_what_cannot_be_seen_is_not_on_a_card(text: str) -> None:
    assert plain(text) == "a b" and marked(text) == "a b"


def test_a_list_or_a_number_at_the_beginning_is_no_list() -> None:
    assert marked("1. first") == "1\\. first" and marked("- first") == "\\- first"


def test_a_created_resource_that_another_refers_to_is_not_offered() -> None:
    new = {"resourceType": "Condition", "id": "n"}
    old = {"resourceType": "Procedure", "id": "p"}
    changed = {**old, "reasonReference": [{"reference": "Condition/n"}]}
    assert changes([old], [new, changed], "x") == []
    assert [a.kind for a in changes([old], [new, {**old, "note": []}], "x")] == ["create", "update"]
    assert changes([old], [old], "x") == []


def test_a_template_without_its_id_is_not_read() -> None:
    assert filled("Encounter/{{context.encounterId}}", {"encounterId": ""}) == ""
