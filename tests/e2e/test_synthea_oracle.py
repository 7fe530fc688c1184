"""Synthea's own exporter wrote a Claim for every visit, independently of us: what we draft must say the same.

The rules are those of shared/data/ORACLE.md: lines by source code, diagnoses, patient, provider, period; every finished
visit accounted for; as many may leave as the charts alone allow.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cli import main

EIGHT = {
    "ef7b374c-dc29-42ec-a4e8-00a7414d1f73", "1a98f970-51de-426a-92f7-673a976af032", "9858ceb0-39dc-4f75-b019-53ecb8ff43a0",
    "2e9f3a8a-66df-416d-8c8e-4b6a8c326da4", "4247de93-4546-4023-8832-0ab0cbaf9c4c", "54312d6d-c01a-42df-97b6-9fb9edf69990",
    "b3a3d8f5-753f-4a7a-a5d0-ea245f28c851", "36a63d03-2c6a-4aca-a4d2-6906d5ef5ca0",
}  # fmt: skip
"""Visits that share a day with another payer's: the derived coverage cannot say which payer they had."""

SETS = {
    "synthea-2020-08": "87 read = 3 ready + 83 held (no-diagnosis 72, zip-missing 11) + 1 self-pay + 0 not billable",
    "synthea-2024-11": "25 read = 12 ready + 8 held (no-diagnosis 8) + 5 self-pay + 0 not billable",
    "synthea-2020-05": "2450 read = 161 ready + 1702 held (no-diagnosis 1565, zip-missing 137) + 587 self-pay + 0 not billable",
    "synthea-2019-05": "6423 read = 1393 ready + 4920 held (no-diagnosis 4873, zip-missing 47) + 110 self-pay + 0 not billable",
}
CORPUS = {
    "synthea-2020-05": "8 read = 4 ready + 4 held (no-diagnosis 4) + 0 self-pay + 0 not billable",
    "synthea-2020-05-inpatient": "78 read = 4 ready + 9 held (no-diagnosis 9) + 65 self-pay + 0 not billable",
    "synthea-2024-11": "5 read = 2 ready + 3 held (no-diagnosis 3) + 0 self-pay + 0 not billable",
}
BILLING = {
    "http://www.ama-assn.org/go/cpt", "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "http://hl7.org/fhir/sid/icd-10-cm",
    "https://www.nubc.org/CodeSystem/RevenueCodes",
}  # fmt: skip


def tail(reference: str) -> str:
    return re.split("[/:|]", reference)[-1]


def is_procedure_or_vaccine(item: dict[str, Any]) -> bool:
    """The newest set also has laboratory and supply items, which a visit's bill does not expect."""
    return (
        "procedureSequence" in item or item["productOrService"]["coding"][0]["system"] == "http://hl7.org/fhir/sid/cvx"
    )


def expected(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Synthea's Claim of each finished visit, and the payer its EOB names."""
    claims: dict[str, dict[str, Any]] = {}
    payers: dict[str, str] = {}
    for path in sorted(folder.rglob("*.json.gz")):
        resources = [e["resource"] for e in json.loads(gzip.decompress(path.read_bytes()))["entry"]]
        codes = {r["id"]: r["code"]["coding"][0]["code"] for r in resources if r["resourceType"] == "Condition"}
        finished = {r["id"]: r for r in resources if r["resourceType"] == "Encounter" and r["status"] == "finished"}
        ours: dict[str, str] = {}
        for claim in (r for r in resources if r["resourceType"] == "Claim"):
            encounter = tail((claim["item"][0].get("encounter") or [{"reference": ""}])[0]["reference"])
            if encounter not in finished or "prescription" in claim or claim["type"]["coding"][0]["code"] == "pharmacy":
                continue
            ours[claim["id"]] = encounter
            items = [claim["item"][0], *(i for i in claim["item"][1:] if is_procedure_or_vaccine(i))]
            claims[encounter] = {
                "lines": sorted(i["productOrService"]["coding"][0]["code"] for i in items),
                "diagnoses": sorted(
                    codes[tail(d["diagnosisReference"]["reference"])] for d in claim.get("diagnosis", [])
                ),
                "patient": tail(claim["patient"]["reference"]),
                "provider": tail(claim["provider"]["reference"]),
                "period": claim["billablePeriod"],
            }
        for eob in (r for r in resources if r["resourceType"] == "ExplanationOfBenefit"):
            encounter = ours.get(tail(eob.get("claim", {}).get("reference", "")), "")
            if encounter:
                payers[encounter] = eob["insurance"][0]["coverage"].get("display", "")
    return claims, payers


def drafted(claim: dict[str, Any]) -> dict[str, Any]:
    def source(codings: list[dict[str, Any]]) -> str:
        return next(str(c["code"]) for c in codings if c["system"] not in BILLING)

    return {
        "lines": sorted(source(i["productOrService"]["coding"]) for i in claim["item"]),
        "diagnoses": sorted(source(d["diagnosisCodeableConcept"]["coding"]) for d in claim.get("diagnosis", [])),
        "patient": tail(claim["patient"]["reference"]),
        "provider": tail(claim["provider"]["reference"]),
        "period": claim["billablePeriod"],
    }


def facility_ids(folder: Path) -> dict[str, str]:
    """Conditional references of the newest set name an identifier: which organization has it."""
    found = {}
    for path in sorted(folder.rglob("*.json.gz")):
        for entry in json.loads(gzip.decompress(path.read_bytes()))["entry"]:
            if entry["resource"]["resourceType"] == "Organization":
                for identifier in entry["resource"].get("identifier", []):
                    found[entry["resource"]["id"]] = identifier["value"]
    return found


@pytest.mark.parametrize("name", SETS)
def test_what_we_draft_is_what_synthea_billed(
    name: str, shared: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    compare(shared / "data" / "fhir" / name, SETS[name], tmp_path, capfdbinary)


@pytest.mark.parametrize("name", CORPUS)
def test_the_charts_in_the_repository_agree_too(
    name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    compare(Path(__file__).parents[1] / "corpus" / "fhir" / name, CORPUS[name], tmp_path, capfdbinary)


def compare(folder: Path, last_line: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    findings = tmp_path / "findings.ndjson"
    assert main(["draft", str(folder), "--site", "synthea", "--findings", str(findings)]) == 0
    out, err = capfdbinary.readouterr()
    assert err.decode().strip().splitlines()[-1] == last_line

    wanted, payers = expected(folder)
    known_as = facility_ids(folder)
    claims = [json.loads(line) for line in out.splitlines()]
    ours = {tail(c["item"][0]["encounter"][0]["reference"]): c for c in claims}
    assert len(ours) == len(claims), "one Claim a visit"
    differences = []
    for encounter, claim in ours.items():
        want, got = wanted[encounter], drafted(claim)
        if want["provider"] != got["provider"]:
            want["provider"] = next((i for i, value in known_as.items() if value == want["provider"]), want["provider"])
        differences += [f"{encounter} {key}: {want[key]} {got[key]}" for key in want if want[key] != got[key]]
    assert not differences, differences[:5]

    insured = {e for e in wanted if payers[e].upper() != "NO_INSURANCE"}
    assert (insured ^ set(ours)) <= EIGHT
    told = [json.loads(line) for line in findings.read_bytes().splitlines()]
    held = {e for e, c in ours.items() if c["status"] == "draft"}
    assert {tail(o["extension"][0]["valueReference"]["reference"]) for o in told} == held
    without = {e for e in ours if not wanted[e]["diagnoses"]}
    first = {
        tail(o["extension"][0]["valueReference"]["reference"]): o["issue"][0]["details"]["coding"][0]["code"]
        for o in told
    }
    assert {e for e, key in first.items() if key == "no-diagnosis"} == without
    numbers = [c["identifier"][0]["value"] for c in claims]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"[A-Z0-9-]{1,20}", number) for number in numbers)
    for encounter, claim in ours.items():
        name_of_payer = next(r["name"] for r in claim["contained"] if r["id"] == "payer-1")
        if encounter not in EIGHT:
            assert same_payer(name_of_payer, payers[encounter]), (name_of_payer, payers[encounter])


def same_payer(ours: str, theirs: str) -> bool:
    plain = theirs.replace("_", " ").casefold()
    return ours.casefold().startswith(plain)
