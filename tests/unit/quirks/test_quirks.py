"""A vendor's shape becomes plain R4 before anything is mapped; what a quirk does not know it leaves alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.ehr import quirks
from fhir_billing.fhir.text import loads
from fhir_billing.mapping import extensions
from fhir_billing.mapping.people import in_system
from fhir_billing.mapping.site import Site
from tests.unit.mapping.visits import site as demo_site

GIVEN = Path(__file__).with_name("given")
VENDORS = ("athenahealth", "eclinicalworks", "epic", "hapi", "medplum", "nextgen", "oracle_health", "plain", "veradigm")


@pytest.fixture(scope="module")
def oracle() -> list[dict[str, Any]]:
    said: Any = loads((GIVEN / "oracle_health.json").read_bytes())
    return quirks.named("oracle_health").visit(said["resources"], "Encounter/e1")


@pytest.fixture(scope="module")
def site() -> Site:
    return demo_site()


def test_every_vendor_has_a_file_and_a_stranger_has_none() -> None:
    assert quirks.known() == list(VENDORS)
    with pytest.raises(MappingInvalid, match="there is no quirk file called 'nobody'"):
        quirks.named("nobody")


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_quirk_says_where_its_shape_is_from_and_whether_it_was_run(vendor: str) -> None:
    text = (Path(quirks.__path__[0]) / f"{vendor}.py").read_text(encoding="utf-8")
    assert vendor == "plain" or "not run" in text or "was run" in text


def test_an_oracle_charge_is_billed_by_its_procedure_code_modifier_revenue_code_and_total(
    oracle: list[dict[str, Any]], site: Site
) -> None:
    charge = oracle[0]
    codes = [(c["system"], c["code"]) for c in charge["code"]["coding"]]
    assert codes[0] == ("http://www.ama-assn.org/go/cpt", "99213"), "the first by priority"
    assert codes[1] == ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "G0463")
    assert codes[-1][1] == "64897", "the charge master's own number stays, last"
    assert charge["priceOverride"] == {"value": Decimal("121.00"), "currency": "USD"}, "the total, not the unit price"
    assert extensions.codes(charge, (f"{extensions.OURS}modifier",)) == ("25",)
    assert extensions.first_text(charge, (f"{extensions.OURS}revenue-code",)) == "0510"
    assert in_system([charge["code"]], "revenue", site.terminology.systems) == "0510"
    assert {"url": "https://hospital.example/fhir/StructureDefinition/its-own", "valueString": "kept"} in charge[
        "extension"
    ]


def test_an_oracle_charge_that_was_taken_back_is_not_billed(oracle: list[dict[str, Any]]) -> None:
    assert oracle[1]["status"] == "aborted"


def test_an_oracle_coverage_of_another_visit_never_pays_for_this_one(oracle: list[dict[str, Any]]) -> None:
    kept = [r for r in oracle if r["resourceType"] == "Coverage"]
    assert [r["id"] for r in kept] == ["e1-98320174", "of-the-person"]
    assert kept[0]["class"][0]["type"]["coding"][0]["system"] == "http://terminology.hl7.org/CodeSystem/coverage-class"


def test_an_epic_class_that_its_sandbox_shows_is_ambulatory_and_one_nobody_knows_stays() -> None:
    epic = quirks.named("epic")
    system = "urn:oid:1.2.840.114350.1.72.1.7.7.10.696784.13260"
    visit = {"resourceType": "Encounter", "class": {"system": system, "code": "13", "display": "Support OP Encounter"}}
    assert epic(visit)["class"]["code"] == "AMB"
    theirs = {"resourceType": "Encounter", "class": {"system": system, "code": "1000042"}}
    assert epic(theirs) == theirs


def test_an_athenahealth_visit_was_served_by_its_department_unless_it_says_otherwise() -> None:
    athena = quirks.named("athenahealth")
    rows = [
        {"url": "https://fhir.athena.io/StructureDefinition/ah-practice", "valueReference": {"reference": "Organization/a-1.Practice-7"}},
        {"url": "https://fhir.athena.io/StructureDefinition/ah-department", "valueReference": {"reference": "Organization/a-7.Department-1"}},
    ]  # fmt: skip
    visit = {"resourceType": "Encounter", "extension": rows}
    assert athena(visit)["serviceProvider"] == {"reference": "Organization/a-7.Department-1"}
    named = {**visit, "serviceProvider": {"reference": "Organization/clinic"}}
    assert athena(named) == named


def test_medplum_and_hapi_marks_of_the_server_itself_are_no_part_of_the_chart() -> None:
    stamped = {"resourceType": "Patient", "meta": {"versionId": "1", "project": "x", "author": {"reference": "Bot/1"}}}
    assert quirks.named("medplum")(stamped)["meta"] == {"versionId": "1"}
    marked = {"resourceType": "Patient", "meta": {"versionId": "1", "source": "#abc"}}
    assert quirks.named("hapi")(marked)["meta"] == {"versionId": "1"}
    ours = {"resourceType": "Task", "meta": {"source": "https://fhir-billing.example/fhir/#abc"}}
    assert quirks.named("hapi")(ours)["meta"]["source"] == "https://fhir-billing.example/fhir/"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda child: (
        st.lists(child, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "coding", "extension", "class", "meta", "url", "status", "type", "valueMoney"]),
            child,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["ChargeItem", "Coverage", "Encounter", "Patient"])


@given(kind=KINDS, junk=st.dictionaries(st.sampled_from(["code", "extension", "class", "meta", "status"]), JUNK))
def test_no_quirk_fails_on_a_chart_that_breaks_every_rule(kind: str, junk: dict[str, Any]) -> None:
    resource = {"resourceType": kind, "id": "x", **junk}
    before = json.dumps(resource)
    for vendor in VENDORS:
        found = quirks.named(vendor).visit([resource], "Encounter/e1")
        assert all(one["resourceType"] == kind for one in found)
    assert json.dumps(resource) == before, "what was read is never changed in place"
