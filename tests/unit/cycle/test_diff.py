"""A corrected chart is read by a biller as a few rows: what it was, what it is now, and where in the Claim."""

from __future__ import annotations

import copy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fhir_billing import mapping_files
from fhir_billing.cycle.diff import differences, told
from fhir_billing.cycle.draft import draft_and_scrub
from fhir_billing.settings import mappings_root
from tests.e2e import charts

SITE = mapping_files.load("demo", mappings_root())


def billed(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """The Claim that a finished chart makes."""
    done = charts.finished(resources)
    drafted = draft_and_scrub(done, SITE, encounter=charts.encounter_of(done), today=date(2026, 3, 2))
    assert drafted is not None
    return drafted.claims[0].resource


def changed(name: str, **kinds: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A claim before and after one change to the first resource of a kind."""
    chart = charts.chart(name)
    after = copy.deepcopy(chart)
    for kind, change in kinds.items():
        change(next(r for r in after if r["resourceType"] == kind and r["id"].startswith(name)))
    return billed(chart), billed(after)


def rows(*pair: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What, was, now."""
    return [(row["what"], row["was"], row["now"]) for row in differences(*pair)]


def test_the_same_bill_differs_in_nothing() -> None:
    one = billed(charts.chart("ada"))
    assert differences(one, copy.deepcopy(one)) == ()


def test_a_price_is_told_on_its_line_and_in_the_sum() -> None:
    def dearer(charge: dict[str, Any]) -> None:
        charge["priceOverride"]["value"] = Decimal(200)

    was, now = changed("ada", ChargeItem=dearer)
    found = differences(was, now)
    assert [row["what"] for row in found] == ["Line 1: charge", "Charge of the claim"]
    assert found[0]["at"] == "Claim.item[0].net"
    assert found[0]["now"] == "$200.00"


def test_a_diagnosis_a_member_id_and_a_name_are_told_as_people_write_them() -> None:
    def cough(condition: dict[str, Any]) -> None:
        condition["code"]["coding"] = [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R05.9"}]

    def card(coverage: dict[str, Any]) -> None:
        coverage["subscriberId"] = "NEW-1"

    def married(patient: dict[str, Any]) -> None:
        patient["name"][0]["family"] = "Exampleton-Zztest"

    was, now = changed("ada", Condition=cough, Coverage=card, Patient=married)
    told = {row["what"]: (row["at"], row["now"]) for row in differences(was, now)}
    assert told["Patient: family name"] == ("Claim.patient.name.family", "Exampleton-Zztest")
    assert told["Insurance: member id"] == ("Claim.insurance[0].subscriberId", "NEW-1")
    assert told["Diagnosis 1"] == ("Claim.diagnosis[0]", "R05.9")


def test_lines_in_another_order_are_the_same_bill() -> None:
    one = billed(charts.chart("ada"))
    two = copy.deepcopy(one)
    two["item"].reverse()
    assert len(one["item"]) > 1
    assert differences(one, two) == ()


def test_a_line_that_came_and_one_that_went_are_told_whole() -> None:
    one = billed(charts.chart("ada"))
    two = copy.deepcopy(one)
    gone = two["item"].pop()
    code = gone["productOrService"]["coding"][0]["code"]
    (line, total) = differences(one, two)
    assert line["what"] == f"Line {len(one['item'])} is gone"
    assert line["was"].startswith(code)
    assert line["now"] == ""
    assert total["what"] == "Charge of the claim"
    (new, _) = differences(two, one)
    assert (new["was"], new["now"]) == ("", line["was"])


@pytest.mark.parametrize(
    ("what", "was", "now", "said"),
    [
        ("The visit", "finished", "in-progress", "The visit was finished, now in-progress"),
        ("Line 1 is new", "", "99213, 2 UN, $160.00", "Line 1 added: 99213, 2 UN, $160.00"),
        ("Line 2 is gone", "99213", "", "Line 2 removed: 99213"),
        ("Insurance: group number", "", "7", "Insurance: group number added: 7"),
    ],
)
def test_a_row_is_read_as_a_phrase(what: str, was: str, now: str, said: str) -> None:
    assert told({"what": what, "was": was, "now": now}) == said
