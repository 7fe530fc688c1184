from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from fhir_billing.hl7.charges import Resource, charges, laid, replaced, standing
from fhir_billing.hl7.message import MalformedMessage, read
from tests.unit.hl7.messages import dft, ft1


def items(*segments: str) -> list[Resource]:
    return [charge.resource for charge in charges(read(dft(*segments)), "V-100")]


def test_an_ft1_becomes_a_charge_item() -> None:
    [item] = items(ft1(quantity="2", amount="300.00", modifiers="25~59", diagnoses="I10^^I10C~E11.9^^I10C"))
    assert item["status"] == "billable"
    assert item["code"] == {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99214"}]}
    assert item["quantity"] == {"value": Decimal(2)}
    assert item["priceOverride"] == {"value": Decimal("300.00"), "currency": "USD"}
    assert item["occurrenceDateTime"] == "2026-03-02"
    assert [e["valueCode"] for e in item["extension"]] == ["25", "59"]
    assert [r["coding"][0]["code"] for r in item["reason"]] == ["I10", "E11.9"]
    [performer] = item["performer"]
    assert performer["actor"]["identifier"] == {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}
    assert item["identifier"][0]["value"] == "ADTSYS|EXAMPLEHOSP|V-100|t:T1"


def test_a_unit_amount_is_multiplied_by_the_quantity_to_the_cent() -> None:
    [item] = items(ft1(amount="", unit="33.33", quantity="3"))
    assert item["priceOverride"]["value"] == Decimal("99.99")
    [free] = items(ft1(amount="", unit=""))
    assert "priceOverride" not in free, "the site's chargemaster has the price"


def test_the_procedure_comes_before_the_hospitals_own_code() -> None:
    [item] = items(ft1(code="CDM-77^Visit^99CDM", procedure="99214^^C4"))
    systems = [coding["system"] for coding in item["code"]["coding"]]
    assert systems == ["http://www.ama-assn.org/go/cpt", "https://fhir-billing.example/fhir/CodeSystem/hl7v2-99cdm"]
    [bare] = items(ft1(code="99214"))
    assert bare["code"]["coding"][0]["system"].endswith("/hl7v2-ft1-7"), "five digits are not taken for a CPT code"


def test_a_time_of_service_is_the_wall_of_the_site() -> None:
    [one] = charges(read(dft(ft1(day="202603020950"))), "V-100", ZoneInfo("America/New_York"))
    assert one.resource["occurrenceDateTime"] == "2026-03-02T09:50:00-05:00"
    [two] = items(ft1(day="20260302^20260304"))
    assert two["occurrencePeriod"] == {"start": "2026-03-02", "end": "2026-03-04"}


def test_payments_and_adjustments_are_the_hospitals_own_books() -> None:
    assert items(ft1(kind="PY"), ft1("T2", kind="AJ")) == []


@pytest.mark.parametrize(
    ("segment", "place"),
    [
        (ft1(amount="12.345"), "FT1[1]-11"),
        (ft1(amount="1e5"), "FT1[1]-11"),
        (ft1(amount="150&EUR"), "FT1[1]-11"),
        (ft1(amount="", unit="0.01", quantity="0.5"), "FT1[1]-12"),
        (ft1(quantity="many"), "FT1[1]-10"),
        (ft1(quantity="0"), "FT1[1]-10"),
        (ft1(quantity="٣"), "FT1[1]-10"),
        (ft1(amount="١٢"), "FT1[1]-11"),
        (ft1(day="٢٠٢٦٠٣٠٢"), "FT1[1]-4"),
        (ft1(code=""), "FT1[1]-7"),
        (ft1(day="2026"), "FT1[1]-4"),
        (ft1(modifiers="LEFT"), "FT1[1]-26"),
    ],
)
def test_what_cannot_be_charged_is_said_with_its_field(segment: str, place: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        items(segment)
    assert caught.value.place == place


def test_a_credit_under_the_charges_own_id_takes_that_one_away_and_no_other() -> None:
    first, same, credit = items(ft1("T1"), ft1("T2"), ft1("T1", kind="CR"))
    reversed_ = replaced(credit, first)
    assert standing([reversed_, same]) == ([same], [])
    assert replaced(credit, reversed_) == reversed_, "twice is once"


def test_a_credit_under_an_id_of_its_own_takes_away_one_that_says_the_same() -> None:
    one, two, credit, other = items(
        ft1("T1"), ft1("T2"), ft1("T3", quantity="-1", amount="-150.00"), ft1("T4", kind="CR", amount="1.00")
    )
    assert standing([one, two, replaced(credit, None), replaced(other, None)]) == ([two], [other])


def test_heard_charges_point_at_the_visit_and_its_patient() -> None:
    visit = {"resourceType": "Encounter", "id": "v", "subject": {"reference": "Patient/p"}}
    found = laid([visit], "Encounter/v", items(ft1()))
    assert found[1]["context"] == {"reference": "Encounter/v"}
    assert found[1]["subject"] == {"reference": "Patient/p"}
