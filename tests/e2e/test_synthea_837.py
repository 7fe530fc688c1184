"""The charts in the repository become 837 files that hold what neither stranger checks: sums, pointers, NPI, nine-digit ZIP, numbers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_billing.cli import main
from fhir_billing.domain.codes import is_npi
from tests.unit.x12.oracles import models, pyx12_says

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "fhir"


def written(folder: Path, out: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> tuple[list[Path], int]:
    """Draft a folder and write the ready claims; the files, and how many claims were ready."""
    assert main(["draft", str(folder), "--site", "synthea"]) == 0
    claims = out / "claims.ndjson"
    text, _ = capfdbinary.readouterr()
    claims.write_bytes(text)
    ready = sum(json.loads(line)["status"] == "active" for line in text.splitlines())
    assert main(["x12", "write", str(claims), "-o", str(out / "x12"), "--site", "synthea"]) == 0
    capfdbinary.readouterr()
    return sorted((out / "x12").glob("*.x12")), ready


def prove(files: list[Path], ready: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    billed, controls = 0, set()
    for file in files:
        data = file.read_bytes()
        assert pyx12_says(data), file.name
        assert list(models(data, tmp_path)), file.name
        segments = [s.strip().split("*") for s in data.decode().split("~") if s.strip()]
        controls.add(segments[0][13])
        billed += sum(s[0] == "CLM" for s in segments)
        assert sums_hold(segments), file.name
        assert all(is_npi(s[9]) for s in segments if s[0] == "NM1" and len(s) > 9 and s[8] == "XX")
        address = next(segments[i + 2] for i, s in enumerate(segments) if s[:2] == ["NM1", "85"])
        assert re.fullmatch(r"\d{9}", address[3]), "the provider's ZIP has nine digits"
    assert billed == ready
    assert len(controls) == len(files), "each interchange has a number of its own"
    assert main(["x12", "check", *map(str, files)]) == 0
    capfdbinary.readouterr()


def sums_hold(segments: list[list[str]]) -> bool:
    """CLM02 is the sum of its lines, and every pointer points at a diagnosis."""
    whole, lines, diagnoses = Decimal(0), Decimal(0), 0
    for segment in [*segments, ["CLM", "", "0"]]:
        match segment[0]:
            case "CLM":
                if whole != lines:
                    return False
                whole, lines, diagnoses = Decimal(segment[2]), Decimal(0), 0
            case "HI":
                diagnoses += sum(e.startswith(("ABK", "ABF")) for e in segment[1:])
            case "SV1":
                lines += Decimal(segment[2])
                if not all(1 <= int(p) <= diagnoses for p in segment[7].split(":")):
                    return False
            case "SV2":
                lines += Decimal(segment[3])
    return True


@pytest.mark.parametrize("name", ["synthea-2020-05", "synthea-2020-05-inpatient", "synthea-2024-11"])
def test_the_charts_in_the_repository_become_837_files(
    name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    files, ready = written(CORPUS / name, tmp_path, capfdbinary)
    assert files
    prove(files, ready, tmp_path, capfdbinary)
