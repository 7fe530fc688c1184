"""What a chart says in a way that nobody can read is told, and holds the visit that it may belong to."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_billing.mapping.chart import gathered
from fhir_billing.mapping.site import Site
from tests.unit.mapping.visits import CONDITION, COVERAGE, SCT, charge, chart, coded, draft, keys, procedure, site

CPT = coded("http://www.ama-assn.org/go/cpt", "99213")


@pytest.fixture
def demo() -> Site:
    return site("demo")


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"subscriberId": 12345}, "Coverage.subscriberId"),
        ({"order": "1"}, "Coverage.order"),
        ({"payor": {}}, "Coverage.payor"),
        ({"class": 5}, "Coverage.class"),
        ({"period": "2026"}, "Coverage.period"),
        ({"period": {"start": "2026-13-45"}}, "Coverage.period.start"),
        ({"period": {"end": "someday"}}, "Coverage.period.end"),
        ({"relationship": 5}, "Coverage.relationship"),
        ({"status": None}, "Coverage.status"),
        ({"status": "Active"}, "Coverage.status"),
        ({"beneficiary": {}}, "Coverage.beneficiary"),
        ({"id": 7}, "Coverage.id"),
    ],
)
def test_a_patient_whose_coverage_cannot_be_read_is_not_billed_but_held(change: dict[str, Any], at: str) -> None:
    visit = draft(chart(coverage=change))
    assert visit.outcome == "claims"
    assert not visit.is_ready
    assert [f.at for f in visit.findings if f.key == "coverage-unreadable" and f.is_blocking] == [at]


@pytest.mark.parametrize("period", [{"start": "2020-01-01", "end": "2020-12-31"}, {"start": "2027"}])
def test_a_coverage_that_is_not_of_that_day_may_say_what_it_likes(period: dict[str, str]) -> None:
    odd = {**COVERAGE, "id": "odd", "status": "Active", "period": period}
    assert "coverage-unreadable" not in keys(draft(chart(odd)))


def test_an_end_in_the_year_9999_is_no_end() -> None:
    assert draft(chart(coverage={"period": {"start": "2026", "end": "9999-12-31"}})).claims


@pytest.mark.parametrize(
    "change",
    [
        {"priceOverride": "12"},
        {"quantity": "1"},
        {"occurrenceDateTime": "2026-13-45"},
        {"occurrenceDateTime": 5},
        {"context": 5},
        {"context": {"reference": "Encounter/none"}},
        {"status": "Billable"},
        {"code": 5},
        {"id": 5},
    ],
)
def test_a_charge_that_cannot_be_read_holds_the_visit(change: dict[str, Any], demo: Site) -> None:
    assert "resource-unreadable" in keys(draft(chart(charge(1, CPT, "10.00", **change)), demo))


def test_a_procedure_that_cannot_be_read_holds_the_visit() -> None:
    assert "resource-unreadable" in keys(draft(chart(procedure(1, code="73761001", performedDateTime=5))))


@pytest.mark.parametrize("resource", [{**CONDITION, "id": "c2"}, procedure(1), charge(1, CPT, "10.00")])
def test_what_is_another_patients_is_not_billed(resource: dict[str, Any]) -> None:
    theirs = {**resource, "subject": {"reference": "Patient/other"}}
    visit = draft(chart(theirs))
    assert "other-patient" in keys(visit)
    assert len(visit.claims[0].claim.lines) == 1
    assert len(visit.claims[0].claim.diagnoses) == 1


def test_a_visit_that_ends_before_it_starts_is_held() -> None:
    period = {"start": "2026-01-10T09:00:00-05:00", "end": "2026-01-09T09:00:00-05:00"}
    assert "period-backwards" in keys(draft(chart(encounter={"period": period})))


def test_a_fourth_coverage_is_told() -> None:
    more = [{**COVERAGE, "id": f"v{n}", "order": n} for n in (2, 3, 4)]
    assert "coverages-many" in [f.key for f in draft(chart(*more)).findings]


def test_a_finished_visit_without_an_id_is_accounted_for() -> None:
    found = gathered(chart(encounter={"id": 7}))
    assert [c.encounter for c in found.complaints] == ["Encounter"]


def test_the_order_of_the_file_does_not_change_the_claim() -> None:
    second = {**CONDITION, "id": "b", "code": coded(SCT, "73211009"), "recordedDate": "2026-01-09"}
    resources = chart(second, procedure(2), procedure(1))
    there, back = draft(resources), draft(resources[::-1])
    assert there.claims[0].claim == back.claims[0].claim


def test_what_writing_would_refuse_is_held_when_it_is_drafted() -> None:
    visit = draft(chart(patient={"name": [{"family": "\u65e5\u672c", "given": ["\u592a\u90ce"]}]}))
    assert keys(visit) == ["patient-name"]


def test_a_bill_without_a_diagnosis_is_told_once() -> None:
    assert keys(draft(chart(without="Condition"))) == ["no-diagnosis"]
