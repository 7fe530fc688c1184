"""A mistake in a mapping is a message with file and line when it is loaded, never a wrong bill; every file fits its schema."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fhir_billing import mapping_files
from fhir_billing.domain.errors import MappingInvalid
from tests.unit.mapping.visits import ROOT

MAPPINGS = ROOT / "mappings"
FILES = sorted(MAPPINGS.rglob("*.yaml"))
SITES = sorted(p.name for p in (MAPPINGS / "sites").glob("[!_]*"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(MAPPINGS).as_posix())
def test_every_file_fits_its_schema(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    kind = next(iter(document))
    if document.get("concepts") == "carc-to-account":
        kind = "carc-to-account"
    schema = json.loads((MAPPINGS / "schema" / f"{kind}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("name", SITES)
def test_every_site_loads(name: str) -> None:
    site = mapping_files.load(name, MAPPINGS)
    label = site.mapper.of_kind("professional").label
    assert re.fullmatch(rf"claim-professional@\d+\.\d+\.\d+\+{name}\.\d+#[0-9a-f]{{16}}", label)
    assert site.payers
    assert site.carcs.rows


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Mappings to spoil, with the example as a site."""
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    shutil.copytree(MAPPINGS / "sites" / "_example", tmp_path / "mappings" / "sites" / "example")
    return tmp_path / "mappings"


def spoil(root: Path, name: str, before: str, after: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def refused(root: Path, site: str = "demo") -> str:
    with pytest.raises(MappingInvalid) as error:
        mapping_files.load(site, root)
    assert error.value.fix
    return str(error.value)


def test_the_example_is_a_site_that_loads_and_its_patch_works(copy: Path) -> None:
    mapping = mapping_files.load("example", copy).mapper.of_kind("professional")
    assert mapping.label.startswith("claim-professional@1.0.0+_example.1#")
    assert mapping.flat.until == "2026-12-31"


PROFESSIONAL = "claim-professional/mapping.yaml"


@pytest.mark.parametrize(
    ("name", "before", "after", "say"),
    [
        (PROFESSIONAL, "%Patient.birthDate", "%Patient.birthDay", r"mapping\.yaml:\d+: %Patient\.birthDay: Patient has no birthDay"),
        (PROFESSIONAL, "%dx.reference", "%dx.referenc", r"mapping\.yaml:\d+: %Diagnoses\.referenc|%dx\.referenc: Diagnosis has no referenc"),
        (PROFESSIONAL, "type.coding.code = 'MR'", "type.codings.code = 'MR'", "CodeableConcept has no codings"),
        (PROFESSIONAL, "%Number", "%Nummer", r"mapping\.yaml:\d+: %Nummer is not among"),
        (PROFESSIONAL, "%asOf", "today()", r"today\(\) is not in the subset"),
        (PROFESSIONAL, "title:", "tittle:", "nobody reads tittle"),
        (PROFESSIONAL, "needs: [Encounter,", "needs: [Encounters,", "there is no Encounters"),
        (PROFESSIONAL, "{{ %Number }}", "{{ %Number }", "cannot read"),
        (PROFESSIONAL, "say: It is", "says: It is", "a must has key, that and say"),
        ("sites/demo/site.yaml", "charges:", "charge:", r"site\.yaml: nobody reads charge"),
        ("sites/demo/site.yaml", "charges: chargeitem", "charges: some", "charges is 'some'"),
        ("sites/demo/site.yaml", "timezone: America/New_York", "timezone: America/Nowhere", "missing or not known"),
        ("sites/demo/site.yaml", "  laterality:", "  no-such: {}\n  laterality:", "no such edit"),
        ("sites/demo/overlay.yaml", "claim-professional@1.0", "claim-professional@0.9", "extends claim-professional@0.9"),
        ("sites/demo/overlay.yaml", "about:", "slots: {nothing: x}\nabout:", "has no slot nothing"),
        ("payers/EXC01.yaml", "90 days", "ninety", "no number of days"),
        ("payers/EXC01.yaml", "channel:", "chanel:", "nobody reads chanel"),
        ("concepts/place-of-service.yaml", '["AMB", "11"', '["AMB", 11', "quoted strings"),
        ("concepts/place-of-service.yaml", '["EMER", "23"', '["AMB", "23"', "AMB stands twice"),
        ("concepts/place-of-service.yaml", "unmapped: finding", "unmapped: guess", "unmapped is 'guess'"),
        ("concepts/claim-kind.yaml", '"not-billable"', '"free"', "claim-kind has 'free'"),
        ("concepts/carc-to-account.yaml", '"patient"', '"patients"', "is not group, reason, account"),
        ("sites/demo/chargemaster.yaml", '"110.00"', '"110.005"', "99202"),
        ("sites/demo/site.yaml", "site: demo", "- site: demo", "this is not YAML"),
        ("sites/demo/site.yaml", "site: demo", "place: demo\nsite: demo", "does not begin with what it is"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(copy: Path, name: str, before: str, after: str, say: str) -> None:
    spoil(copy, name, before, after)
    assert re.search(say, refused(copy)), refused(copy)


@pytest.mark.parametrize(
    ("before", "after", "say"),
    [
        ("was: \"'normal'\"", "was: \"'other'\"", "stands \"'normal'\", not \"'other'\""),
        ('at: "slots.priority.default"', 'at: "slots.none.default"', "has nothing at slots.none.default"),
        (", because: ", ", reason: ", "nobody reads reason"),
    ],
)
def test_a_patch_must_know_what_it_replaces(copy: Path, before: str, after: str, say: str) -> None:
    spoil(copy, "sites/example/overlay.yaml", before, after)
    assert say in refused(copy, "example")


def test_a_changed_table_changes_the_hash_that_every_claim_stores(copy: Path) -> None:
    before = mapping_files.load("demo", copy).mapper.of_kind("professional").label
    assert mapping_files.load("demo", copy).mapper.of_kind("professional").label == before
    spoil(copy, "sites/demo/chargemaster.yaml", '"110.00"', '"111.00"')
    assert mapping_files.load("demo", copy).mapper.of_kind("professional").label != before


def test_a_sites_row_replaces_the_shared_one(copy: Path) -> None:
    (copy / "sites" / "demo" / "places.yaml").write_text(
        'concepts: place-of-service\nfrom: act-class\nto: place\nrows: [["VR", "02"]]\n'
    )
    terminology = mapping_files.load("demo", copy).terminology
    assert (
        terminology.code(
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}, "place-of-service"
        )
        == "02"
    )
    assert (
        terminology.code(
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "place-of-service"
        )
        == "11"
    )


def test_a_sites_own_addresses_of_a_code_system_are_added(copy: Path) -> None:
    tenant = "https://ehr.example/tenant/CodeSystem/BillCodes-CPT"
    (copy / "sites" / "demo" / "systems.yaml").write_text(f'code-systems: demo\nrows: {{cpt: ["{tenant}"]}}\n')
    systems = mapping_files.load("demo", copy).terminology.systems
    assert systems.uri(tenant) == systems.uri("cpt") == "http://www.ama-assn.org/go/cpt"


def test_there_is_no_site_of_that_name() -> None:
    assert "use one of demo, synthea" in refused(MAPPINGS, "nowhere")
    assert "there is no site" in refused(MAPPINGS, "_example")
    assert "there is no site" in refused(MAPPINGS, "../sites/demo/..")


def test_a_site_may_bring_the_book_of_diagnosis_codes(copy: Path) -> None:
    spoil(copy, "sites/demo/site.yaml", "charges:", "icd10: codes.txt\ncharges:")
    assert "codes.txt: cannot be read" in refused(copy)
    (copy / "sites" / "demo" / "codes.txt").write_text("J02.9 a throat\nI10\n")
    assert mapping_files.load("demo", copy).icd10_valid == frozenset({"J029", "I10"})


def test_a_patch_that_outlived_its_day_is_told(copy: Path) -> None:
    from tests.unit.mapping.visits import CPT, ICD, charge, chart, coded, draft

    spoil(copy, "sites/example/overlay.yaml", 'until: "2026-12-31"', 'until: "2026-01-09"')
    parts: dict[str, Any] = {"condition": {"code": coded(ICD, "I10")}, "payer": {"name": "Example Commercial Health"}}
    visit = draft(chart(charge(1, coded(CPT, "99213"), "1.00"), **parts), mapping_files.load("example", copy))
    assert "patch-expired" in [f.key for f in visit.findings]
    assert visit.claims[0].resource["priority"]["coding"][0]["code"] == "stat"
