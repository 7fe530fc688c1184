"""What we draft is a Claim that strangers accept, and what stands in it is the bill that an 837 is written from."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.claim import Claim as R4BClaim
from fhir.resources.R4B.operationoutcome import OperationOutcome

from fhir_billing.cycle.draft import DraftedVisit, drafted
from fhir_billing.domain.claim import ClaimKind, InpatientProcedure
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.outcome import operation_outcome
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.mapping.chart import Chart
from tests.unit.mapping.visits import chart, condition, draft, procedure, site

GOOD = draft(chart()).claims[0].resource
CHARTS = Path(__file__).resolve().parents[3] / "examples" / "charts"


def demo_visit(*names: str) -> DraftedVisit:
    found = Chart()
    for name in ("clinic", *names):
        for entry in loads((CHARTS / f"{name}.json").read_bytes())["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Encounter":
                resource["status"] = "finished"
            found.add(resource)
    (encounter,) = found.index().finished()
    return drafted(found, encounter, site("demo"))


@pytest.mark.parametrize("name", sorted(p.stem for p in CHARTS.glob("*.json") if p.stem != "clinic"))
def test_every_chart_of_the_demo_makes_valid_claims(name: str) -> None:
    visit = demo_visit(name)
    for claim in visit.claims:
        R4BClaim.model_validate_json(dumps(claim.resource))
        assert read_claim(loads(dumps(claim.resource))) == claim.claim
    if visit.findings:
        OperationOutcome.model_validate_json(dumps(operation_outcome(visit.findings, encounter=visit.encounter)))


@pytest.mark.parametrize(
    "resources",
    [
        chart(),
        chart(procedure(1), condition(2, "55822004")),
        chart(without="Condition"),
        chart(procedure(1, "999")),
        chart(encounter={"type": []}),
    ],
    ids=["ready", "two", "no diagnosis", "unmapped", "no lines"],
)
def test_held_claims_are_valid_too(resources: list[dict[str, Any]]) -> None:
    visit = draft(resources)
    for claim in visit.claims:
        R4BClaim.model_validate_json(dumps(claim.resource))


def test_a_stay_is_a_hospitals_bill() -> None:
    visit = demo_visit("fay")
    (claim,) = visit.claims
    bill = claim.claim
    assert visit.is_ready
    assert (bill.kind, bill.place, bill.frequency.value) == (ClaimKind.INSTITUTIONAL, "11", "1")
    assert bill.charge == 1307575
    assert (bill.lines[0].revenue_code, int(bill.lines[0].units), bill.lines[0].charge) == ("0120", 3, 540000)
    assert [(d.code, d.kind, d.present_on_admission) for d in bill.diagnoses] == [
        ("M1712", "principal", "Y"),
        ("I10", "other", "Y"),
        ("M25562", "admitting", ""),
    ]
    assert bill.stay is not None
    assert (bill.stay.admission_type, bill.stay.admission_source, bill.stay.patient_status, bill.stay.drg) == (
        "3",
        "1",
        "01",
        "470",
    )
    assert bill.stay.procedures == (InpatientProcedure(code="0SRD0J9", on=date(2026, 3, 2)),)
    assert (bill.served_from, bill.served_to) == (date(2026, 3, 2), date(2026, 3, 5))
    assert bill.stay.discharged_at == datetime(2026, 3, 5, 11, 30)  # noqa: DTZ001 - the wall clock of the hospital
    assert bill.billing.npi == "1888888884"
    assert bill.attending is not None


def test_a_stay_without_a_discharge_disposition_is_held() -> None:
    found = Chart()
    for name in ("clinic", "fay"):
        for entry in loads((CHARTS / f"{name}.json").read_bytes())["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Encounter":
                resource |= {"status": "finished", "hospitalization": {}}
            found.add(resource)
    (encounter,) = found.index().finished()
    assert "patient-status-missing" in [f.key for f in drafted(found, encounter, site("demo")).findings]


def test_the_demos_special_visits_are_what_they_are() -> None:
    assert demo_visit("gus").claims[0].claim.place == "10"
    assert demo_visit("max").claims[0].claim.place == "23"
    assert [i.rank for i in demo_visit("dee").claims[0].claim.insurance] == ["P", "S"]
    child = demo_visit("ivy").claims[0].claim.insurance[0]
    assert (child.relationship, bool(child.subscriber.family)) == ("19", True)
    assert demo_visit("hal").outcome == demo_visit("ray").outcome == "self-pay"


def test_a_decimal_in_a_claim_keeps_its_digits() -> None:
    text = dumps(draft(chart()).claims[0].resource)
    assert b'"net":{"value":125.00,' in text
    assert b'"total":{"value":125.00,' in text


@pytest.mark.parametrize(
    "change",
    [
        {"resourceType": "Patient"},
        {"identifier": []},
        {"insurance": []},
        {"type": None},
        {"patient": "Patient/p"},
        {"contained": [1]},
        {"item": [{"sequence": 1, "net": {"value": "x"}}]},
        {"item": [{"sequence": 1, "quantity": {"value": "many"}}]},
        {"diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": 5}]},
        {"careTeam": {"a": 1}},
        {"extension": [5]},
        {"type": {"coding": [{"code": "oral"}]}},
        {"identifier": [{"value": 5}]},
        {"contained": [{**GOOD["contained"][0], "name": [{"family": 5}]}, *GOOD["contained"][1:]]},
    ],
)
def test_a_claim_that_cannot_be_read_is_refused_and_never_a_crash(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedResource):
        read_claim({**copy.deepcopy(GOOD), **change})


@pytest.mark.parametrize("value", [None, 5, [], "x"])
def test_what_is_no_object_is_no_claim(value: Any) -> None:
    with pytest.raises(MalformedResource):
        read_claim(value)


def test_a_state_that_is_written_out_becomes_its_two_letters() -> None:
    resource = json.loads(json.dumps(GOOD, default=str))
    resource["contained"][0]["address"][0]["state"] = "Connecticut"
    assert read_claim(resource).patient.address.state == "CT"
