"""Each code that the synthetic charts use leads to a billing code that is in its book, and each such code has a price."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "mappings" / "sites" / "synthea"
SHAPES = {"cpt": r"\d{4}[0-9A-Z]", "hcpcs": r"[A-Z]\d{4}", "icd10cm": r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?"}


def tables(name: str) -> list[dict[str, Any]]:
    found = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((SITE / "concepts").glob("*.yaml"))]
    return [table for table in found if table["concepts"] == name]


def rows(name: str) -> dict[str, str]:
    return {row[0]: row[1] for table in tables(name) for row in table["rows"]}


@pytest.mark.parametrize(
    ("inventory", "name"), [("procedures", "procedure"), ("conditions", "diagnosis"), ("encounter-types", "visit")]
)
def test_every_code_of_the_inventory_has_a_row(shared: Path, inventory: str, name: str) -> None:
    listed = shared / "data" / "codes" / "synthea-snomed-inventory" / f"{inventory}.csv"
    with listed.open(encoding="utf-8") as lines:
        codes = {row["snomed_code"] for row in csv.DictReader(lines)}
    assert codes - rows(name).keys() == set()


@pytest.mark.parametrize("name", ["visit", "procedure", "vaccine", "diagnosis"])
def test_every_target_has_the_shape_of_its_book_and_no_row_has_wording(name: str) -> None:
    for table in tables(name):
        assert all(len(row) == 2 for row in table["rows"])
        assert [row for row in table["rows"] if not re.fullmatch(SHAPES[table["to"]], row[1])] == []


def test_no_code_stands_in_two_tables_of_one_name() -> None:
    for name in ("visit", "procedure", "vaccine", "diagnosis"):
        sources = [row[0] for table in tables(name) for row in table["rows"]]
        assert len(sources) == len(set(sources)), name


def test_every_billing_code_has_a_price_above_zero() -> None:
    listed = yaml.safe_load((SITE / "chargemaster.yaml").read_text(encoding="utf-8"))["rows"]
    prices = {row[0]: row[1] for row in listed}
    billed = {code for name in ("visit", "procedure", "vaccine") for code in rows(name).values()}
    assert billed - prices.keys() == set()
    assert [code for code, price in prices.items() if not re.fullmatch(r"[1-9]\d*\.\d\d", price)] == []


def test_every_diagnosis_may_be_billed_by_the_book(shared: Path) -> None:
    book = shared / "data" / "codes" / "icd10cm" / "icd10cm-codes-2024.txt.gz"
    with gzip.open(book, "rt", encoding="utf-8", errors="replace") as lines:
        billable = {line.split()[0] for line in lines if line.strip()}
    assert {code.replace(".", "") for code in rows("diagnosis").values()} - billable == set()


def test_every_hcpcs_code_is_in_the_book(shared: Path) -> None:
    with (shared / "data" / "codes" / "hcpcs" / "hcpcs2019.csv").open(encoding="utf-8") as lines:
        known = {row["code"] for row in csv.DictReader(lines)}
    billed = [
        row[1]
        for name in ("visit", "procedure")
        for table in tables(name)
        if table["to"] == "hcpcs"
        for row in table["rows"]
    ]
    assert set(billed) - known == set()
