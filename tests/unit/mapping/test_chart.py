"""Every way in which a chart names a resource leads to it, and the newest version counts."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_billing.mapping.chart import Chart, gathered
from tests.unit.mapping.visits import ENCOUNTER, PATIENT

NPI = "http://hl7.org/fhir/sid/us-npi"
DOCTOR = {"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": NPI, "value": "1999999992"}]}


def chart(*resources: dict[str, Any]) -> Chart:
    found = Chart()
    for resource in resources:
        found.add(resource, file="chart.json", url=f"urn:uuid:{resource.get('id', '0000')}-url")
    found.add({"resourceType": "Patient", "id": "p9"}, url="https://ehr.example/fhir/Patient/p9")
    return found.index()


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Practitioner/d1"},
        {"reference": "Practitioner/d1/_history/3"},
        {"reference": "https://ehr.example/fhir/Practitioner/d1"},
        {"reference": "urn:uuid:d1-url"},
        {"reference": "urn:uuid:d1"},
        {"reference": f"Practitioner?identifier={NPI}|1999999992"},
        {"reference": "Practitioner?identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C1999999992"},
        {"reference": "Practitioner?identifier=1999999992"},
        {"identifier": {"system": NPI, "value": "1999999992"}},
        {"identifier": {"system": NPI, "value": "1999999992"}, "type": "Practitioner"},
    ],
)
def test_each_kind_of_reference_finds_its_resource(reference: dict[str, Any]) -> None:
    found = chart(DOCTOR, PATIENT)
    assert found.resolve(reference) is DOCTOR
    assert found.written(reference) == "Practitioner/d1"


def test_a_contained_resource_is_found_within_its_holder() -> None:
    holder = {**ENCOUNTER, "contained": [{"resourceType": "Practitioner", "id": "in"}]}
    assert chart(holder).resolve({"reference": "#in"}, holder) == {"resourceType": "Practitioner", "id": "in"}
    assert chart(holder).resolve({"reference": "#out"}, holder) is None


@pytest.mark.parametrize(
    "reference", [{}, {"display": "x"}, {"reference": "Practitioner/no"}, {"reference": "x"}, {"reference": "A?b=c"}]
)
def test_what_leads_nowhere_finds_nothing(reference: dict[str, Any]) -> None:
    assert chart(DOCTOR).resolve(reference) is None


def test_an_identifier_of_two_is_nobodys() -> None:
    twin = {**DOCTOR, "id": "d2"}
    assert chart(DOCTOR, twin).resolve({"reference": f"Practitioner?identifier={NPI}|1999999992"}) is None


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "second"),
        ("2026-01-02T00:00:00Z", "2026-01-01T23:00:00Z", "first"),
        ("2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00Z", "second"),
        ("2026-01-02T00:00:00Z", None, "second"),
        (None, None, "second"),
        ("2026-01-02T00:00:00Z", "rubbish", "second"),
    ],
)
def test_the_newest_version_counts_else_the_last(first: str | None, second: str | None, wins: str) -> None:
    def version(name: str, when: str | None) -> dict[str, Any]:
        return {**PATIENT, "meta": {"lastUpdated": when} if when else {}, "birthDate": name}

    found = chart(version("first", first), version("second", second))
    assert found.resources["Patient", "p"]["birthDate"] == wins


def test_a_resource_without_id_takes_the_one_of_its_full_url() -> None:
    found = Chart()
    found.add({"resourceType": "Patient"}, url="urn:uuid:11")
    assert not found.complaints
    assert ("Patient", "11") in found.index().resources


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"period": "2026"}, "Encounter/e period"),
        ({"type": {"coding": []}}, "Encounter/e type"),
        ({"diagnosis": [{"condition": 1}]}, "Encounter/e diagnosis[0].condition"),
        ({"class": "AMB"}, "Encounter/e class"),
        ({"diagnosis": [{"rank": True}]}, "Encounter/e diagnosis[0].rank"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(change: dict[str, Any], where: str) -> None:
    found = gathered([{**ENCOUNTER, **change}], file="chart.json")
    (complaint,) = found.complaints
    assert complaint.where == where
    assert complaint.encounter == "Encounter/e", "a finished visit is accounted for"
    assert str(complaint).startswith(f"chart.json: {where}: is not ")
    assert "; " in str(complaint)


@pytest.mark.parametrize(
    "resource",
    [None, 1, [], {}, {"resourceType": 5}, {"resourceType": "Encounter"}, {"resourceType": "Patient", "id": 5}],
)
def test_what_is_no_resource_is_a_complaint(resource: Any) -> None:
    assert len(gathered([resource]).complaints) == 1


def test_claims_and_bills_in_a_chart_are_no_source() -> None:
    found = gathered([{"resourceType": "Claim", "id": "x"}, {"resourceType": "ExplanationOfBenefit", "id": "y"}])
    assert not found.resources
    assert not found.complaints
