"""`draft` reads charts in every form, accounts for each finished visit, and says in one line what is wrong and how to mend it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cli import main
from tests.unit.mapping.visits import COVERAGE, CPT, ENCOUNTER, PATIENT, charge, chart, coded

Resource = dict[str, Any]


@dataclass
class Said:
    code: int
    claims: list[Resource]
    complaints: list[str]
    summary: str
    outcomes: list[Resource]


def bundle(*resources: Resource, urls: bool = False) -> Resource:
    return {
        "resourceType": "Bundle", "type": "collection",
        "entry": [{"resource": r, **({"fullUrl": f"urn:uuid:{r['id']}"} if urls else {})} for r in resources],
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    def go(*words: str | Path, site: str = "synthea") -> Said:
        findings = tmp_path.parent / f"{tmp_path.name}-findings.ndjson"
        code = main(["draft", *map(str, words), "--site", site, "--findings", str(findings)])
        out, err = capfdbinary.readouterr()
        lines = err.decode().strip().splitlines()
        assert "Traceback" not in err.decode()
        outcomes = [json.loads(line) for line in findings.read_bytes().splitlines()] if findings.exists() else []
        return Said(code, [json.loads(line) for line in out.splitlines()], lines[:-1], lines[-1], outcomes)

    return go


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = (
        value
        if isinstance(value, bytes)
        else value.encode()
        if isinstance(value, str)
        else json.dumps(value, default=float).encode()
    )
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


def ndjson(*resources: Resource) -> str:
    return "".join(json.dumps(r) + "\n" for r in resources)


ONE_READY = "1 read = 1 ready + 0 held + 0 self-pay + 0 not billable"


@pytest.mark.parametrize("name", ["chart.json", "chart.json.gz", "deep/er/chart.json"])
def test_a_bundle_in_a_file_or_a_folder(run: Any, tmp_path: Path, name: str) -> None:
    write(tmp_path / name, bundle(*chart()))
    said = run(tmp_path)
    assert (said.code, said.summary, said.complaints, said.outcomes) == (0, ONE_READY, [], [])
    assert [c["status"] for c in said.claims] == ["active"]


def test_references_resolve_across_files_of_every_form(run: Any, tmp_path: Path) -> None:
    patient, *rest = chart()
    write(tmp_path / "a" / "patients.ndjson.gz", ndjson(patient))
    for resource in rest:
        write(tmp_path / "b" / f"{resource['resourceType']}-{resource['id']}.json", resource)
    assert run(tmp_path / "b", tmp_path / "a").summary == ONE_READY


def test_ndjson_under_another_name_is_read_too(run: Any, tmp_path: Path) -> None:
    assert run(write(tmp_path / "chart.json", ndjson(*chart()))).summary == ONE_READY


def test_urn_references_of_a_transaction_are_followed(run: Any, tmp_path: Path) -> None:
    text = json.dumps(bundle(*chart(), urls=True))
    for kind in ("Patient", "Organization", "Encounter"):
        text = text.replace(f'"{kind}/', '"urn:uuid:')
    said = run(write(tmp_path / "chart.json", text))
    assert said.summary == ONE_READY
    assert said.claims[0]["patient"]["reference"] == "Patient/p"
    assert said.claims[0]["provider"]["reference"] == "Organization/o"


def test_the_newest_version_counts_wherever_it_lies(run: Any, tmp_path: Path) -> None:
    old = {**ENCOUNTER, "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}, "status": "cancelled"}
    new = {**ENCOUNTER, "meta": {"lastUpdated": "2026-01-02T00:00:00Z"}}
    resources = [r for r in chart() if r["resourceType"] != "Encounter"]
    write(tmp_path / "1.json", bundle(*resources, new))
    write(tmp_path / "2.json", bundle(old))
    assert run(tmp_path).summary == ONE_READY
    write(tmp_path / "2.json", bundle({**old, "meta": {}}))
    assert run(tmp_path).summary.startswith("0 read")


def test_what_holds_a_visit_is_an_outcome_with_the_worst_first(run: Any, tmp_path: Path) -> None:
    lost = {"address": [{"line": ["1 Sample Street"], "city": "Sampleton", "state": "MA"}]}
    said = run(write(tmp_path / "chart.json", bundle(*chart(patient=lost, without="Condition"))))
    assert said.summary == "1 read = 0 ready + 1 held (no-diagnosis 1) + 0 self-pay + 0 not billable"
    (outcome,) = said.outcomes
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["extension"][0]["valueReference"] == {"reference": "Encounter/e"}
    assert [i["details"]["coding"][0]["code"] for i in outcome["issue"]][:2] == ["no-diagnosis", "zip-missing"]
    assert said.claims[0]["status"] == "draft"


def test_self_pay_makes_no_claim_and_no_outcome(run: Any, tmp_path: Path) -> None:
    said = run(write(tmp_path / "chart.json", bundle(*chart(without="Coverage"))))
    assert (said.claims, said.outcomes) == ([], [])
    assert said.summary == "1 read = 0 ready + 0 held + 1 self-pay + 0 not billable"


def test_an_open_visit_is_not_read(run: Any, tmp_path: Path) -> None:
    said = run(write(tmp_path / "chart.json", bundle(*chart(encounter={"status": "in-progress"}))))
    assert said.summary == "0 read = 0 ready + 0 held + 0 self-pay + 0 not billable"


def test_a_claim_in_the_chart_changes_nothing(run: Any, tmp_path: Path) -> None:
    plain = run(write(tmp_path / "chart.json", bundle(*chart())))
    claim = {"resourceType": "Claim", "id": "x", "item": [{"encounter": [{"reference": "Encounter/e"}]}]}
    with_claims = run(
        write(tmp_path / "chart.json", bundle(*chart(claim, {"resourceType": "ExplanationOfBenefit", "id": "y"})))
    )
    assert with_claims == plain


def test_the_day_of_billing_can_be_told(run: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "chart.json", bundle(*chart()))
    assert run(path).claims[0]["created"] == "2026-01-10"
    assert run(path, "--as-of", "2026-02-01").claims[0]["created"] == "2026-02-01"


def test_prices_of_the_chart_sum_to_the_cent(run: Any, tmp_path: Path) -> None:
    text = json.dumps(bundle(*chart(charge(1, coded(CPT, "87880")), charge(2, coded(CPT, "36415")))))
    text = text.replace('"id": "ci1",', '"id": "ci1", "priceOverride": {"value": 0.10, "currency": "USD"},')
    text = text.replace('"id": "ci2",', '"id": "ci2", "priceOverride": {"value": 0.2, "currency": "USD"},')
    (claim,) = run(write(tmp_path / "chart.json", text)).claims
    assert [i["net"]["value"] for i in claim["item"]] == [125.0, 0.1, 0.2]
    assert claim["total"]["value"] == 125.3


@pytest.mark.parametrize(
    ("body", "say"),
    [
        ("", "this is not JSON"),
        ("{", "this is not JSON"),
        ('{"resourceType": "Bundle", "entry": [', "this is not JSON"),
        (b"\xff\xfe\x00", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("null", "this is no FHIR resource"),
        ('{"resourceType": "Bundle", "entry": {}}', "Bundle.entry: entry is not a list"),
        ('{"resourceType": "Bundle", "entry": [7]}', "Bundle.entry[0]: the entry is not an object"),
        ('{"resourceType": "Bundle", "entry": [{"resource": []}]}', "Bundle.entry[0]: this is no FHIR resource"),
        ('{"resourceType": "Patient"}', "the resource has no id"),
    ],
)
def test_a_broken_file_is_named_and_the_others_go_on(run: Any, tmp_path: Path, body: str | bytes, say: str) -> None:
    write(tmp_path / "good.json", bundle(*chart()))
    bad = write(tmp_path / "bad.json", body)
    said = run(tmp_path)
    assert (said.code, said.summary) == (1, ONE_READY)
    (complaint,) = said.complaints
    assert complaint.startswith(f"{bad}: ")
    assert say in complaint
    assert "; " in complaint


def test_a_broken_line_is_named_by_its_number(run: Any, tmp_path: Path) -> None:
    first, *rest = chart()
    path = write(tmp_path / "chart.ndjson", ndjson(first) + "{broken\n" + ndjson(*rest))
    said = run(path)
    assert (said.code, said.summary) == (1, ONE_READY)
    assert said.complaints == [f"{path}: line 2: this is not JSON; export the file again, as UTF-8"]


def test_a_truncated_gz_is_a_complaint(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "chart.json.gz"
    path.write_bytes(gzip.compress(json.dumps(bundle(*chart())).encode())[:-9])
    said = run(path)
    assert said.code == 1
    assert said.complaints[0].startswith(f"{path}: cannot be read")


def test_a_path_that_is_not_there_is_a_complaint(run: Any, tmp_path: Path) -> None:
    said = run(tmp_path / "none", write(tmp_path / "good.json", bundle(*chart())))
    assert (said.code, said.summary) == (1, ONE_READY)
    assert said.complaints == [f"{tmp_path / 'none'}: there is no such file; check the path"]


def test_a_visit_in_a_wrong_shape_is_accounted_for(run: Any, tmp_path: Path) -> None:
    bad = {**ENCOUNTER, "id": "bad", "period": "2026"}
    path = write(tmp_path / "chart.json", bundle(*chart(bad)))
    said = run(path)
    assert said.code == 1
    assert said.summary == "2 read = 1 ready + 1 held (malformed-resource 1) + 0 self-pay + 0 not billable"
    assert said.complaints == [
        f"{path}: Encounter/bad period: is not an object; correct it in the chart and read it again"
    ]
    assert said.outcomes[0]["extension"][0]["valueReference"] == {"reference": "Encounter/bad"}


def test_a_dangling_reference_holds_its_visit_and_is_named(run: Any, tmp_path: Path) -> None:
    lost = {**ENCOUNTER, "id": "lost", "serviceProvider": {"reference": "Organization/none"}}
    path = write(tmp_path / "chart.json", bundle(*chart(lost)))
    said = run(path)
    assert said.code == 1
    complaint = f"{path}: Encounter/lost serviceProvider: Organization/none is not in the chart"
    assert said.complaints == [f"{complaint}; add the resource to what is read, or correct the reference"]
    assert "1 ready + 1 held" in said.summary


def test_a_patient_that_is_missing_is_held_even_with_a_coverage(run: Any, tmp_path: Path) -> None:
    nobody = {"reference": "Patient/none"}
    other = {**ENCOUNTER, "id": "x", "subject": nobody}
    said = run(
        write(
            tmp_path / "c.json",
            bundle(*chart(other, {**COVERAGE, "id": "y", "beneficiary": nobody, "subscriber": nobody})),
        )
    )
    assert said.code == 1
    assert len(said.claims) == 2
    assert "1 ready + 1 held" in said.summary


def test_wrong_usage_is_two(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path / "chart.json", bundle(PATIENT)))
    assert main(["draft", path, "--site", "nowhere"]) == 2
    assert "there is no site nowhere" in capfd.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["draft", path, "--as-of", "yesterday"])
    assert stopped.value.code == 2
    assert main(["draft", path, "--findings", str(tmp_path / "no" / "where")]) == 2


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    for number in range(40):
        more = (
            json.dumps(bundle(*chart())).replace('"e"', f'"e{number}"').replace("Encounter/e", f"Encounter/e{number}")
        )
        write(tmp_path / f"{number}.json", more)
    command = f"{sys.executable} -m fhir_billing draft {tmp_path} --site synthea | head -c 10 > /dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
