"""The subset means what FHIRPath means: the same answers as fhirpathpy, and a refusal for what is not in it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
import yaml

from fhir_billing.mapping.fhirpath import NotInSubset, compile_path

RESOURCE: dict[str, Any] = {
    "resourceType": "Patient", "id": "p", "active": True, "gender": "female",
    "name": [{"use": "official", "family": "Zztest", "given": ["Ada", "Q"]}, {"use": "old", "family": "Yytest"}],
    "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "22"}], "count": 3, "price": Decimal("12.50"),
}  # fmt: skip
SAME = [
    "%r.name.family", "%r.name[0].given", "%r.name.given.first()", "%r.name.given.last()", "%r.name.where(use = 'old').family",
    "%r.name.where(use = 'none').family", "%r.identifier.where(system = 'b').value", "%r.name.exists()", "%r.telecom.exists()",
    "%r.telecom.empty()", "%r.name.count()", "%r.name.family.count() = 2", "%r.gender = 'female'", "%r.gender != 'male'", "%r.nothing = 'a'",
    "%r.active and %r.name.exists()", "%r.nothing or true", "%r.nothing and false", "(%r.gender = 'male') or (%r.active)", "%r.active.not()",
    "iif(%r.active, 'yes', 'no')", "iif(%r.nothing.exists(), 'yes')", "%r.gender.matches('^fe')", "%r.gender.startsWith('fe')",
    "%r.gender.endsWith('ale')", "%r.gender.upper()", "%r.gender.replace('fe', '')", "%r.gender.substring(2)", "%r.gender.substring(0, 2)",
    "%r.name.given.join('-')", "%r.name.family.distinct().count()", "%r.count + 1", "%r.count > 2", "%r.count >= 3 and %r.count < 4",
    "%r.name.family | %r.gender", "'x' & %r.nothing & 'y'", "%r.name.select(given)", "%r.name.exists(use = 'old')",
    "%r.name.all(family.exists())", "%r.name.tail().family", "%r.gender in ('male' | 'female')", "true xor false", "false implies true",
    "'a' + 'b'", "%r.count.toString()", "%r.gender.length()", "%r.gender.contains('mal')", "%r.name.given[1]", "{}",
]  # fmt: skip


def ours(source: str) -> list[Any]:
    return compile_path(source, lambda name: name == "r" or None).run({"r": RESOURCE}, [])


@pytest.mark.parametrize("source", SAME)
def test_we_answer_as_fhirpathpy_does(source: str) -> None:
    assert ours(source) == fhirpathpy.evaluate({}, source, {"r": RESOURCE})


def test_every_path_of_the_mappings_compiles_in_fhirpathpy_too() -> None:
    """An analyst's other tools must be able to read what stands in our files."""
    import re

    for file in (Path(__file__).resolve().parents[3] / "mappings").glob("claim-*/mapping.yaml"):
        body = file.read_text(encoding="utf-8")
        document = yaml.safe_load(body)
        paths = re.findall(r"\{\{\s*(.+?)\s*\}\}|\{\[\s*(.+?)\s*\]\}|\{% (?:if|for (?:\w+, )?\w+ in) (.+?) %\}", body)
        paths += [(slot["default"],) for slot in document["slots"].values()] + [(m["that"],) for m in document["must"]]
        for found in paths:
            (path,) = filter(None, found)
            fhirpathpy.compile(path)


@pytest.mark.parametrize(
    "source",
    [
        "now()",
        "today()",
        "%unknown.id",
        "%r.name.repeat(given)",
        "%r.",
        "%r.name.where(",
        "'open",
        "%r.name[",
        "a b",
        "%r ~ 1",
        "",
    ],
)
def test_what_is_not_in_the_subset_is_refused_when_it_is_loaded(source: str) -> None:
    with pytest.raises(NotInSubset):
        ours(source)


def test_a_decimal_keeps_its_digits() -> None:
    assert str(ours("%r.price")[0]) == "12.50"
    assert str(ours("%r.price + 0.1")[0]) == "12.60"


def test_a_path_through_something_else_finds_nothing() -> None:
    assert ours("%r.gender.coding.code") == []
    assert ours("%r.price.value.x[3]") == []
