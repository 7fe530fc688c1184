"""A finished visit is billed for what was done, to whoever covered the day; what is missing is said, and nothing is guessed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_billing.domain.claim import ClaimKind
from fhir_billing.domain.finding import Severity
from fhir_billing.mapping.chart import gathered
from fhir_billing.mapping.visit import claim_number
from tests.unit.mapping.visits import (
    CONDITION,
    COVERAGE,
    CPT,
    ENCOUNTER,
    ICD,
    PATIENT,
    SCT,
    charge,
    chart,
    coded,
    condition,
    draft,
    draft_of,
    keys,
    procedure,
    site,
)


def test_an_office_visit_is_a_ready_professional_claim() -> None:
    visit = draft(chart())
    (claim,) = visit.claims
    assert (visit.outcome, visit.is_ready, keys(visit)) == ("claims", True, [])
    bill = claim.claim
    assert (bill.kind, bill.place, bill.charge) == (ClaimKind.PROFESSIONAL, "11", 12500)
    assert [d.code for d in bill.diagnoses] == ["I10"]
    assert [(line.procedure, line.pointers, int(line.units)) for line in bill.lines] == [("99213", (1,), 1)]
    assert (bill.payer.id, bill.insurance[0].member_id, bill.insurance[0].relationship) == ("SYNAETNA", "EX1", "18")
    assert (bill.patient.family, bill.patient.middle, bill.patient.address.state) == ("Zztest", "Q", "MA")
    assert bill.served_from is not None
    assert bill.served_from.isoformat() == "2026-01-10"
    assert claim.resource["status"] == "active"


def test_the_claim_keeps_the_charts_ids_and_contains_what_an_837_needs() -> None:
    resource = draft(chart()).claims[0].resource
    assert resource["patient"]["reference"] == "Patient/p"
    assert resource["provider"]["reference"] == "Organization/o"
    assert resource["item"][0]["encounter"] == [{"reference": "Encounter/e"}]
    assert resource["billablePeriod"] == ENCOUNTER["period"]
    inside = {"#" + r["id"] for r in resource["contained"]}
    for holder in (resource["patient"], resource["provider"], resource["insurance"][0]["coverage"]):
        (extension,) = [e for e in holder["extension"] if e["url"].endswith("/as-billed")]
        assert extension["valueReference"]["reference"] in inside


def test_the_billing_code_stands_first_and_the_charts_own_after_it_unchanged() -> None:
    resource = draft(chart()).claims[0].resource
    codings = resource["item"][0]["productOrService"]["coding"]
    assert codings == [{"system": CPT, "code": "99213"}, {"system": SCT, "code": "185349003"}]
    codings = resource["diagnosis"][0]["diagnosisCodeableConcept"]["coding"]
    assert codings == [{"system": ICD, "code": "I10"}, {"system": SCT, "code": "38341003"}]


def test_a_chart_that_speaks_icd_and_cpt_needs_no_table() -> None:
    both = {"coding": [{"system": SCT, "code": "x"}, {"system": "urn:oid:2.16.840.1.113883.6.90", "code": "J02.9"}]}
    visit = draft(
        chart(procedure(1) | {"code": coded("urn:oid:2.16.840.1.113883.6.12", "45378")}, condition={"code": both})
    )
    assert visit.claims[0].resource["diagnosis"][0]["diagnosisCodeableConcept"]["coding"][0] == {
        "system": ICD,
        "code": "J02.9",
    }
    assert visit.claims[0].claim.lines[1].procedure == "45378"


def test_a_code_that_no_table_knows_holds_the_claim_and_stands_alone() -> None:
    visit = draft(chart(procedure(1, "999")))
    assert keys(visit)[0] == "code-unmapped"
    assert visit.claims[0].resource["item"][1]["productOrService"]["coding"] == [{"system": SCT, "code": "999"}]
    assert visit.claims[0].resource["status"] == "draft"


def test_a_code_without_a_system_is_not_guessed() -> None:
    assert "code-unmapped" in keys(draft(chart(procedure(1) | {"code": {"coding": [{"code": "73761001"}]}})))


@pytest.mark.parametrize("status", ["not-done", "entered-in-error", "preparation", "in-progress", "stopped"])
def test_what_was_not_done_is_not_billed(status: str) -> None:
    assert len(draft(chart(procedure(1, status=status))).claims[0].claim.lines) == 1


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_what_is_not_so_is_no_diagnosis(status: str) -> None:
    visit = draft(
        chart(
            condition={
                "verificationStatus": coded("http://terminology.hl7.org/CodeSystem/condition-ver-status", status)
            }
        )
    )
    assert keys(visit)[0] == "no-diagnosis"


def test_the_reason_for_a_visit_is_no_diagnosis() -> None:
    visit = draft(chart(without="Condition", encounter={"reasonCode": [coded(SCT, "38341003")]}))
    assert keys(visit)[0] == "no-diagnosis"
    assert not visit.claims[0].claim.diagnoses


def test_encounter_diagnosis_gives_the_order() -> None:
    ranks = [
        {"condition": {"reference": "Condition/c2"}, "rank": 1},
        {"condition": {"reference": "Condition/c"}, "rank": 2},
    ]
    visit = draft(chart(condition(2, "55822004"), encounter={"diagnosis": ranks}))
    assert [d.code for d in visit.claims[0].claim.diagnoses] == ["E785", "I10"]


def test_no_zip_is_a_finding_and_no_diagnosis_comes_before_it() -> None:
    lost = {"address": [{"line": ["1 Sample Street"], "city": "Sampleton", "state": "MA"}]}
    assert keys(draft(chart(patient=lost))) == ["zip-missing"]
    assert keys(draft(chart(patient=lost, without="Condition"))) == ["no-diagnosis", "zip-missing"]


# ---- who pays ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"period": {"start": "2026-01-10", "end": "2026-01-10"}}, "claims"),
        ({"period": {"start": "2026-01-11"}}, "self-pay"),
        ({"period": {"end": "2026-01-09"}}, "self-pay"),
        ({"period": {"start": "2026"}}, "claims"),
        ({"period": {"start": "2025", "end": "2026-01"}}, "claims"),
        ({"period": {"end": "2025-12"}}, "self-pay"),
        ({"status": "cancelled"}, "self-pay"),
        ({"status": "entered-in-error"}, "self-pay"),
        ({"payor": [{"reference": "Patient/p"}]}, "self-pay"),
        ({"period": {}}, "claims"),
    ],
)
def test_the_coverage_of_the_day_pays(change: dict[str, Any], outcome: str) -> None:
    visit = draft(chart(coverage=change))
    assert visit.outcome == outcome
    if outcome == "self-pay":
        assert (visit.claims, visit.findings, visit.charge) == ((), (), 12500)


def test_the_second_coverage_comes_second() -> None:
    second = {**COVERAGE, "id": "w", "order": 2, "payor": [{"reference": "Organization/b"}], "subscriberId": "EX2"}
    visit = draft(chart(second, {"resourceType": "Organization", "id": "b", "name": "Humana"}))
    assert [(i.payer.id, i.rank) for i in visit.claims[0].claim.insurance] == [("SYNAETNA", "P"), ("SYNHUMANA", "S")]
    assert [i["focal"] for i in visit.claims[0].resource["insurance"]] == [True, False]


def test_doubt_about_the_order_is_a_question() -> None:
    rival = {**COVERAGE, "id": "w"}
    visit = draft(chart(rival), site("demo"))
    assert "coverage-order-unclear" in keys(visit)


def test_a_plan_that_changed_on_the_day_bills_the_new_one() -> None:
    old = {**COVERAGE, "id": "w", "period": {"start": "2025-01-01", "end": "2026-01-10"}, "subscriberId": "OLD"}
    visit = draft(chart(old, coverage={"period": {"start": "2026-01-10"}}))
    assert [i.member_id for i in visit.claims[0].claim.insurance] == ["EX1"]
    assert [f.key for f in visit.findings if f.severity is Severity.WARNING] == ["coverage-changed-that-day"]


def test_a_child_is_billed_under_the_parents_plan() -> None:
    parent = {
        **PATIENT,
        "resourceType": "RelatedPerson",
        "id": "mum",
        "name": [{"family": "Zztest", "given": ["Eva"]}],
        "birthDate": "1960-03-03",
    }
    child = {
        "relationship": coded("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "child"),
        "subscriber": {"reference": "RelatedPerson/mum"},
    }
    visit = draft(chart(parent, coverage=child))
    insurance = visit.claims[0].claim.insurance[0]
    assert (insurance.relationship, insurance.subscriber.given, insurance.subscriber.ref) == (
        "19",
        "Eva",
        "RelatedPerson/mum",
    )
    assert visit.is_ready


def test_another_persons_plan_without_that_person_is_held() -> None:
    child = {
        "relationship": coded("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "child"),
        "subscriber": {},
    }
    assert "subscriber-missing" in keys(draft(chart(coverage=child)))


def test_a_payer_without_a_file_is_held() -> None:
    assert "payer-unknown" in keys(draft(chart(payer={"name": "Nobody knows"})))


# ---- charges -----------------------------------------------------------------------------------


def test_a_charge_item_prices_the_line_of_the_same_code_one_to_one() -> None:
    items = [charge(1, coded(SCT, "73761001"), "1000.01"), charge(2, coded(SCT, "73761001"), "2000.02")]
    visit = draft(chart(procedure(1), procedure(2), *items))
    assert [line.charge for line in visit.claims[0].claim.lines] == [12500, 100001, 200002]


def test_a_charge_item_for_something_else_is_a_line_of_its_own() -> None:
    visit = draft(chart(charge(1, coded(CPT, "87880"), "30.00")))
    assert [(line.procedure, line.charge) for line in visit.claims[0].claim.lines] == [
        ("99213", 12500),
        ("87880", 3000),
    ]


def test_a_charge_item_may_name_its_procedure() -> None:
    visit = draft(
        chart(procedure(1), charge(1, coded(CPT, "45380"), "77.70", service=[{"reference": "Procedure/pr1"}]))
    )
    assert [(line.procedure, line.charge) for line in visit.claims[0].claim.lines] == [
        ("99213", 12500),
        ("45380", 7770),
    ]


def test_only_charge_items_are_billed_where_the_site_says_so() -> None:
    more = [charge(1, coded(CPT, "99214"), "150.00"), procedure(1)]
    visit = draft(
        chart(*more, condition={"code": coded(ICD, "I10")}, payer={"name": "Example Commercial Health"}), site("demo")
    )
    assert [(line.procedure, line.charge) for line in visit.claims[0].claim.lines] == [("99214", 15000)]
    assert visit.is_ready


@pytest.mark.parametrize("status", ["not-billable", "aborted", "entered-in-error", "billed", "planned"])
def test_a_charge_item_that_is_not_billable_is_left_alone(status: str) -> None:
    assert len(draft(chart(charge(1, coded(CPT, "87880"), "30.00", status=status))).claims[0].claim.lines) == 1


def test_modifiers_and_units_come_from_the_charge_item() -> None:
    url = "https://fhir-billing.example/fhir/StructureDefinition/modifier"
    item = charge(
        1,
        coded(CPT, "99213"),
        None,
        quantity={"value": 2},
        extension=[{"url": url, "valueCode": "25"}, {"url": url, "valueCode": "59"}],
    )
    (line,) = draft(chart(item)).claims[0].claim.lines
    assert (line.modifiers, int(line.units), line.charge) == (("25", "59"), 2, 25000)


def test_a_price_that_is_no_amount_and_a_quantity_that_is_none_are_findings() -> None:
    item = charge(1, coded(CPT, "87880"), "1.005", quantity={"value": -1})
    assert {"price-invalid", "quantity-invalid"} <= set(keys(draft(chart(item))))


def test_a_line_points_at_the_diagnosis_it_was_done_for() -> None:
    visit = draft(chart(condition(2, "55822004"), procedure(1, reasonReference=[{"reference": "Condition/c2"}])))
    assert [line.pointers for line in visit.claims[0].claim.lines] == [(1, 2), (2,)]


def test_the_same_diagnosis_twice_is_one_on_the_bill_and_two_in_the_claim() -> None:
    visit = draft(chart(condition(2)))
    assert len(visit.claims[0].resource["diagnosis"]) == 2
    assert len(visit.claims[0].claim.diagnoses) == 1
    assert visit.claims[0].claim.lines[0].pointers == (1,)
    assert visit.is_ready


# ---- long visits -------------------------------------------------------------------------------

CODES = ["38341003", "55822004", "44054006", "15777000", "162864005", "271737000", "40055000", "444814009", "195662009", "10509002",
         "72892002", "19169002", "65363002", "43878008"]  # fmt: skip


def test_more_than_fifty_lines_become_two_claims() -> None:
    visit = draft(chart(*(procedure(n) for n in range(60))))
    assert [c.number[-2:] for c in visit.claims] == ["-1", "-2"]
    assert sorted(len(c.claim.lines) for c in visit.claims) == [11, 50]
    assert sum(c.claim.charge for c in visit.claims) == visit.charge
    assert visit.is_ready


def test_more_than_twelve_diagnoses_become_two_claims_with_a_line_each() -> None:
    more = [condition(n, code) for n, code in enumerate(CODES[1:])]
    visit = draft(chart(*more, procedure(1)))
    assert [len(c.claim.diagnoses) for c in visit.claims] == [12, 2]
    assert [len(c.claim.lines) for c in visit.claims] == [1, 1]
    assert all(line.pointers for c in visit.claims for line in c.claim.lines)
    assert {d.code for c in visit.claims for d in c.claim.diagnoses} == {
        d.code for d in [d for c in visit.claims for d in c.claim.diagnoses]
    }
    assert visit.is_ready


def test_diagnoses_for_which_there_is_no_line_wait_for_a_person() -> None:
    more = [condition(n, code) for n, code in enumerate(CODES[1:])]
    visit = draft(chart(*more))
    assert "diagnoses-without-line" in keys(visit)


# ---- what is wrong in the chart ----------------------------------------------------------------


def test_a_reference_that_leads_nowhere_is_a_finding_with_its_place() -> None:
    visit = draft(chart(encounter={"serviceProvider": {"reference": "Organization/none"}}))
    (found,) = [f for f in visit.findings if f.key == "reference-missing"]
    assert (found.at, found.resource, found.is_blocking) == ("Encounter.serviceProvider", "Encounter/e", True)
    assert visit.dangling[0][1] == "Encounter/e"


def test_a_visit_of_nobody_is_held_without_a_claim() -> None:
    visit = draft(chart(encounter={"subject": {"reference": "Patient/none"}}))
    assert (visit.outcome, visit.claims, keys(visit)[0]) == ("claims", (), "reference-missing")


@pytest.mark.parametrize("period", [{}, {"start": "2026"}, {"start": "rubbish"}])
def test_a_visit_without_a_day_is_held(period: dict[str, str]) -> None:
    assert "date-missing" in keys(draft(chart(encounter={"period": period})))


def test_a_class_that_no_table_knows_is_held() -> None:
    assert "code-unmapped" in keys(
        draft(chart(encounter={"class": {"system": ENCOUNTER["class"]["system"], "code": "XYZ"}}))
    )


def test_a_visit_that_is_never_billed_is_said_so() -> None:
    visit = draft(chart(encounter={"class": {"system": ENCOUNTER["class"]["system"], "code": "PRENC"}}))
    assert (visit.outcome, visit.claims, visit.findings) == ("not billable", (), ())


def test_the_day_of_service_is_the_sites_own() -> None:
    late = {"period": {"start": "2026-01-11T03:30:00Z", "end": "2026-01-11T04:00:00Z"}}
    more = [charge(1, coded(CPT, "99214"), "150.00")]
    parts: dict[str, Any] = {
        "condition": {"code": coded(ICD, "I10")},
        "payer": {"name": "Example Commercial Health"},
    }
    visit = draft(chart(*more, encounter=late, **parts), site("demo"))
    assert str(visit.served_on) == "2026-01-10"
    assert str(draft(chart(encounter=late)).served_on) == "2026-01-11"


def test_the_claim_number_is_the_same_on_every_run() -> None:
    assert claim_number("e") == draft(chart()).claims[0].number == draft(chart()).claims[0].number
    assert len({claim_number(str(n)) for n in range(1000)}) == 1000


def test_drafting_changes_nothing_in_the_chart() -> None:
    resources = chart(procedure(1), charge(1, coded(SCT, "73761001"), "10.00"))
    before = copy.deepcopy(resources)
    draft(resources)
    assert resources == before


def test_the_same_chart_makes_the_same_claim_byte_for_byte() -> None:
    from fhir_billing.fhir.text import dumps

    assert dumps(draft(chart()).claims[0].resource) == dumps(draft(chart()).claims[0].resource)
    assert dumps(draft_of(gathered([*chart(), CONDITION])).claims[0].resource) == dumps(
        draft(chart()).claims[0].resource
    )
