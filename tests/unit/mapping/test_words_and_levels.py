"""A wrong file of words or levels is a clear sentence at the start, never a wrong level."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fhir_billing import mapping_files
from fhir_billing.domain.errors import MappingInvalid
from tests.unit.mapping.visits import ROOT

LEVELS = "sites/demo/visit-levels.yaml"
CHARGES = "sites/demo/charge-words.yaml"
WORDS = "concepts/code-words.yaml"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    return tmp_path / "mappings"


@pytest.mark.parametrize(
    ("file", "before", "after", "says"),
    [
        (LEVELS, "needed: 2", "needed: 4", "needed is 4"),
        (LEVELS, "needed: 2", "needed: true", "needed is True"),
        (LEVELS, "minutes: 45", "minutes: 20", "99204 is not above 99203"),
        (LEVELS, "minutes: 45", "minutes: soon", "minutes is 'soon'"),
        (LEVELS, "grade: Moderate", "grade: Medium", "grade is 'Medium'"),
        (LEVELS, "      - Hardly anything, such as rest or a bandage\n", "", "risk has 3 grades"),
        (LEVELS, "key: established", "key: new", "two kinds have the same key"),
        (LEVELS, 'code: "99205"', "code: 99205", "code is 99205"),
        (LEVELS, "version: 2026.1", "versoin: 2026.1", "nobody reads versoin"),
        (LEVELS, "kinds:", "kinds: []\nabout: ", "no list"),
        (CHARGES, '"20610": [', "20610: [", "20610 has no list of words, or is not quoted"),
        (CHARGES, '"20610": [', '"20610": [7, ', "has no list of words"),
        (WORDS, "words: diagnosis", "words: disease", "words is 'disease'"),
        (WORDS, '["htn", "hypertension"]', '["htn"]', "is not two or more"),
    ],
)
def test_a_mistake_is_told_with_its_file(copy: Path, file: str, before: str, after: str, says: str) -> None:
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(MappingInvalid) as error:
        mapping_files.load("demo", copy)
    assert says in str(error.value)
    assert Path(file).name in str(error.value)


def test_a_site_has_one_table_of_levels(copy: Path) -> None:
    shutil.copy(copy / LEVELS, copy / "sites" / "demo" / "more.yaml")
    with pytest.raises(MappingInvalid, match="2 tables of visit levels"):
        mapping_files.load("demo", copy)


def test_words_for_codes_change_no_claim_and_so_not_what_made_it(copy: Path) -> None:
    before = mapping_files.load("demo", copy).mapper.of_kind("professional").label
    path = copy / CHARGES
    path.write_text(path.read_text(encoding="utf-8").replace("knee shot", "knee jab"), encoding="utf-8")
    assert mapping_files.load("demo", copy).mapper.of_kind("professional").label == before


def test_a_site_without_files_of_its_own_has_no_levels_and_the_shared_words(copy: Path) -> None:
    (copy / LEVELS).unlink()
    (copy / CHARGES).unlink()
    site = mapping_files.load("demo", copy)
    assert site.visit_levels is None
    assert site.charge_words == {}
    assert ("heart attack", "myocardial infarction") in site.code_words["diagnosis"]
