"""A visit's level is found by minutes or by two of three, and says how."""

from __future__ import annotations

import pytest

from fhir_billing import mapping_files
from fhir_billing.domain.visit_level import PatientKind, VisitLevels, by_decision, by_time
from fhir_billing.settings import mappings_root


@pytest.fixture(scope="module")
def table() -> VisitLevels:
    found = mapping_files.load("demo", mappings_root()).visit_levels
    assert found is not None
    return found


def kind(table: VisitLevels, key: str) -> PatientKind:
    found = table.kind(key)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "minutes", "code"),
    [
        ("established", 9, ""),
        ("established", 10, "99212"),
        ("established", 19, "99212"),
        ("established", 20, "99213"),
        ("established", 39, "99214"),
        ("established", 40, "99215"),
        ("established", 600, "99215"),
        ("new", 14, ""),
        ("new", 15, "99202"),
        ("new", 60, "99205"),
    ],
)
def test_a_level_begins_at_its_minutes(table: VisitLevels, key: str, minutes: int, code: str) -> None:
    level = by_time(table, kind(table, key), minutes)
    assert level.code == code
    assert str(minutes) in level.how[0]


@pytest.mark.parametrize(
    ("grades", "code"),
    [
        ((0, 0, 0), "99212"),
        ((3, 0, 0), "99212"),
        ((2, 1, 2), "99214"),
        ((3, 3, 0), "99215"),
        ((1, 2, 3), "99214"),
    ],
)
def test_two_of_three_make_the_level(table: VisitLevels, grades: tuple[int, ...], code: str) -> None:
    chosen = dict(zip([e.key for e in table.elements], grades, strict=True))
    level = by_decision(table, kind(table, "established"), chosen)
    assert level.code == code
    assert code in level.how[-1]


def test_two_elements_are_enough_and_one_is_not(table: VisitLevels) -> None:
    established = kind(table, "established")
    assert by_decision(table, established, {"problems": 2, "risk": 2}).code == "99214"
    assert by_decision(table, established, {"problems": 3}).code == ""
