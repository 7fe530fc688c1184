"""A site's charges are found in its own words; without a table of diagnoses everything else works and says so."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from fhir_billing import code_tables, mapping_files
from fhir_billing.code_tables import CHARGE, DIAGNOSIS, CodeDesk
from fhir_billing.finder.search import Mine
from fhir_billing.settings import mappings_root

DAY = date(2026, 9, 1)


class NoHabits:
    """Somebody new."""

    def favourites(self, who: str, table: str) -> list[str]:
        return []

    def keep(self, who: str, code: str, table: str) -> None:
        raise AssertionError

    def let_go(self, who: str, code: str) -> None:
        raise AssertionError

    def used(self, *names: str) -> dict[str, int]:
        return {}


@pytest.fixture(scope="module")
def desk() -> CodeDesk:
    return CodeDesk(mapping_files.load("demo", mappings_root()), NoHabits())


def test_a_charge_is_found_by_what_the_site_calls_it(desk: CodeDesk) -> None:
    hits = desk.look(CHARGE, "knee shot", on=DAY, mine=Mine())
    assert (hits[0].code, hits[0].title) == ("20610", "Injection into a large joint")
    assert desk.system(CHARGE, "20610") == "http://www.ama-assn.org/go/cpt"
    assert desk.system(CHARGE, "J3301").startswith("https://www.cms.gov/")


def test_every_charge_with_words_has_a_price_row_here(desk: CodeDesk) -> None:
    assert set(desk.site.charge_words) <= set(desk.site.chargemaster.rows)


def test_without_the_table_of_diagnoses_nothing_is_found_and_charges_are(desk: CodeDesk, tmp_path: Path) -> None:
    bare = CodeDesk(desk.site, NoHabits(), tmp_path / "none.table")
    assert bare.table(DIAGNOSIS) is None
    assert bare.look(DIAGNOSIS, "asthma", on=DAY, mine=Mine()) == []
    assert bare.one(DIAGNOSIS, "J45.909", DAY) is None
    assert bare.one(CHARGE, "20610", DAY) is not None


def test_a_chart_says_its_active_icd_10_codes_and_no_others(desk: CodeDesk) -> None:
    def condition(code: str, system: str, status: str) -> dict[str, object]:
        return {
            "resourceType": "Condition",
            "code": {"coding": [{"system": system, "code": code}]},
            "clinicalStatus": {"coding": [{"code": status}]},
            "category": [{"coding": [{"code": "problem-list-item"}]}],
            "recordedDate": "2026-03-01",
        }

    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    found = desk.in_chart(
        [condition("M17.11", icd, "active"), condition("J02.9", icd, "resolved"), condition("x", "urn:other", "active")]
    )
    assert found == {"M1711": "problem list, since 2026-03"}


@pytest.mark.skipif(
    code_tables.diagnoses() is None and not os.environ.get("CI"),
    reason="the table of diagnoses was not made: make setup",
)
@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("high blood pressure", "I10"),
        ("heart attack", "I219"),
        ("sugar", "E119"),
        ("right knee pain", "M25561"),
        ("right knee arthritis", "M1711"),
        ("strep throat", "J020"),
        ("uti", "N390"),
        ("astma", "J45909"),
        ("left ankel sprian", "S93402A"),
        ("e11.9", "E119"),
        ("covid", "U071"),
    ],
)
def test_the_whole_of_icd_10_cm_answers_as_people_ask(desk: CodeDesk, question: str, code: str) -> None:
    assert desk.look(DIAGNOSIS, question, on=DAY, mine=Mine())[0].code == code


@pytest.mark.skipif(
    code_tables.diagnoses() is None and not os.environ.get("CI"),
    reason="the table of diagnoses was not made: make setup",
)
def test_a_heading_or_an_unknown_code_cannot_be_picked(desk: CodeDesk) -> None:
    assert desk.one(DIAGNOSIS, "J45", DAY) is None
    assert desk.one(DIAGNOSIS, "Q00.0000", DAY) is None
    picked = desk.one(DIAGNOSIS, "m17.11", DAY)
    assert picked is not None
    assert desk.shown(DIAGNOSIS, picked.code) == "M17.11"
