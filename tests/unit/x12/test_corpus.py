"""Files that other people published are accepted or refused as their own checks say, here and in the larger set."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.domain.money import cents
from fhir_billing.x12.describe import tell
from fhir_billing.x12.grammar import rebuilt

HERE = Path(__file__).resolve().parents[2] / "corpus" / "x12"
LARGER = Path(__file__).resolve().parents[4] / "shared" / "data" / "x12"


def rows(folder: Path) -> list[dict[str, Any]]:
    manifest = folder / "MANIFEST.jsonl"
    return [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []


def verdict(folder: Path, row: dict[str, Any]) -> list[str]:
    """What is not as the manifest says; empty when all is."""
    data = (folder / row["file"]).read_bytes()
    told, complaints = tell(row["file"], data)
    wrong = []
    refused = any(one.severity.value == "error" for one in complaints)
    if refused is not (row["expect"] != "accept"):
        wrong.append(f"{row['file']}: {row['expect']}, but {[str(one) for one in complaints][:3]}")
    sets = [one for i in told["interchanges"] for g in i["groups"] for one in g["sets"]]
    if refused:
        if sets or not any(one.segment for one in complaints):
            wrong.append(f"{row['file']}: a refused file tells its faults and nothing else")
    elif row["checks"].get("clm_total_balanced"):
        claims = [claim for one in sets for claim in one.get("claims", ())]
        balanced = sum(cents(claim["charge"]) == cents(claim["line_sum"]) for claim in claims)
        if f"{balanced}/{len(claims)}" != row["checks"]["clm_total_balanced"]:
            wrong.append(f"{row['file']}: {balanced}/{len(claims)} claims add up")
    elif row["claims_835"]:
        wrong.extend(remittance_sums(row, sets))
    if any(one["id"] == "ISA" and one["segment"] for one in told["findings"]) or told["interchanges"]:
        equal = not told["interchanges"] or rebuilt(data) == data
        if not equal:
            wrong.append(f"{row['file']}: taken apart and put together it is another text")
    return wrong


def remittance_sums(row: dict[str, Any], sets: list[dict[str, Any]]) -> list[str]:
    payments = [claim for one in sets for claim in one["claims"]]
    ok = len(payments) == row["claims_835"]
    for one in sets:
        taken = sum(cents(each["amount"]) for each in one["provider_adjustments"])
        ok = ok and cents(one["paid"]) == sum(cents(claim["paid"]) for claim in one["claims"]) - taken
    for claim in payments:
        lines = [adjustment for line in claim["lines"] for adjustment in line["adjustments"]]
        off = sum(cents(each["amount"]) for each in [*claim["adjustments"], *lines])
        ok = ok and cents(claim["charge"]) - off == cents(claim["paid"])
    return [] if ok else [f"{row['file']}: the sums are not as its checks say"]


@pytest.mark.parametrize("row", rows(HERE), ids=lambda row: row["file"])
def test_a_public_file_is_taken_as_its_manifest_says(row: dict[str, Any]) -> None:
    assert verdict(HERE, row) == []


def test_every_public_file_is_taken_as_the_manifest_says() -> None:
    found = rows(LARGER)
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{LARGER} is not there")
        pytest.skip("the larger set of public files is not beside this checkout")
    assert [fault for row in found for fault in verdict(LARGER, row)] == []
