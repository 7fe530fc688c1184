"""The demo's charts are valid, fictional, and what their generator writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.domain.codes import is_npi
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.text import loads

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "charts"
NAMES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.json"))


def resources(name: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in loads((FOLDER / f"{name}.json").read_bytes())["entry"]]


def test_there_are_more_than_twenty_people() -> None:
    assert len([n for n in NAMES if any(r["resourceType"] == "Patient" for r in resources(n))]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_is_valid(name: str) -> None:
    assert complaints(loads((FOLDER / f"{name}.json").read_bytes())) == []
    for resource in resources(name):
        assert complaints(resource) == [], resource["id"]


def test_the_json_is_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec
    assert spec.loader
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    written = {"clinic": make.clinic(), **make.charts(), **{f"open/{n}": c for n, c in make.open_charts().items()}}
    assert sorted(written) == NAMES
    for name, made in written.items():
        assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == make.dump(made), name


def test_the_people_are_nobody() -> None:
    for name in NAMES:
        for resource in resources(name):
            if resource["resourceType"] == "Patient":
                assert all("Zztest" in n["family"] for n in resource["name"])
                assert all("555-01" in t["value"] for t in resource["telecom"])
            for identifier in resource.get("identifier", []):
                if identifier.get("system") == "http://hl7.org/fhir/sid/us-npi":
                    assert is_npi(identifier["value"])


def test_every_reference_leads_somewhere_and_every_chart_is_in_the_read_me() -> None:
    clinic = {f"{r['resourceType']}/{r['id']}" for r in resources("clinic")}
    told = (FOLDER / "README.md").read_text()
    for name in NAMES:
        own = {f"{r['resourceType']}/{r['id']}" for r in resources(name)}
        text = json.dumps(resources(name), default=str)
        for part in text.split('"reference": "')[1:]:
            assert part.split('"')[0] in own | clinic, name
        assert name == "clinic" or f"| {name} |" in told
