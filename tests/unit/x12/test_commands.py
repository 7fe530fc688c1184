"""The four words of `fhir-billing x12`, as a script calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_billing.cli import main
from fhir_billing.domain.examples import a_claim
from tests.unit.x12.samples import a_remittance, sent, written


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.835"
    path.write_bytes(written(a_remittance()))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.835"
    path.write_bytes(written(a_remittance()).replace(b"BPR*I*75", b"BPR*I*76"))
    return path


def test_read_prints_one_object_a_file_and_the_highest_code_wins(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["x12", "read", str(good), str(bad)]) == 1
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    (one,) = first["interchanges"][0]["groups"][0]["sets"]
    assert (one["control"], one["kind"], one["paid"], one["payer"]) == (
        "0001",
        "835",
        "75.00",
        "EXAMPLE COMMERCIAL HEALTH",
    )
    assert one["sums"]["adjustments"] == {"CO": "15.00", "PR": "10.00"}
    assert first["interchanges"][0]["control"] == "000000001"
    assert second["interchanges"][0]["groups"][0]["sets"] == []
    (finding,) = [each for each in second["findings"] if each["severity"] == "error"]
    assert (finding["segment"], finding["id"], finding["element"]) == (4, "BPR", 2)
    assert err.startswith(f"{bad}: segment 4 BPR02: ")
    assert "; " in err


def test_a_file_that_is_not_there_is_a_complaint_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x12", "read", "nowhere.835"]) == 1
    assert capsys.readouterr().err.startswith("nowhere.835: ")


def test_check_adds_what_sending_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bill.837"
    path.write_bytes(sent(a_claim()))
    assert main(["x12", "check", str(path)]) == 0
    path.write_bytes(sent(a_claim()).replace(b"CLM*C-EXAMPLE00001*140", b"CLM*C-EXAMPLE00001*141"))
    assert main(["x12", "read", str(path)]) == 0
    assert main(["x12", "check", str(path)]) == 1
    assert "CLM02" in capsys.readouterr().err


def test_roundtrip_says_equal(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x12", "roundtrip", str(good)]) == 0
    assert capsys.readouterr().out == f"{good} equal\n"
    broken = tmp_path / "no.x12"
    broken.write_bytes(b"hello")
    assert main(["x12", "roundtrip", str(broken)]) == 1


def test_a_wrong_word_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["x12", "sing"])
    assert caught.value.code == 2
