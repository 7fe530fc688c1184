"""What our FHIR API offers is said three times, and each time the same: in the table it is made of, by machine, and in the docs."""

from __future__ import annotations

import re

from fhir_billing.api.fhir.capability import statement
from fhir_billing.api.fhir.search import searched
from fhir_billing.apps import TYPES, WORDS
from fhir_billing.cycle.published import PARAMS
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.topic import TOPIC
from tests.house.source import ROOT

TEXT = (ROOT / "docs" / "api-fhir.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([A-Z][A-Za-z]+) \|[^|]*\|([^|]*)\|$", re.MULTILINE)


def test_the_docs_name_the_types_and_parameters_that_there_are() -> None:
    said = {kind: tuple(re.findall(r"`([^`]+)`", cell)) for kind, cell in ROW.findall(TEXT)}
    assert said == {kind: searched(kind) for kind in PARAMS}


def test_the_capability_statement_names_the_same() -> None:
    made = statement("https://billing.example/fhir", "https://billing.example/auth/token")
    assert complaints(made) == []
    offered = {
        resource["type"]: tuple(param["name"] for param in resource["searchParam"])
        for resource in made["rest"][0]["resource"]
        if "searchParam" in resource
    }
    assert offered == {kind: searched(kind) for kind in PARAMS}
    assert set(TYPES) == {*PARAMS, "Subscription"}


def test_the_docs_name_every_word_of_an_app_file_and_the_topic() -> None:
    assert {word for word in WORDS if word not in TEXT} == set()
    assert TOPIC in TEXT
