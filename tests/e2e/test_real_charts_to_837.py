"""From charts to 837 files by the two commands alone; two strangers and our own check read every file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from fhir_billing.cli import main
from tests.unit.x12.oracles import models, pyx12_says

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT.parent / "shared" / "data" / "fhir"
MAY_LEAVE = {"synthea-2020-08": 3, "synthea-2024-11": 12, "synthea-2020-05": 161, "synthea-2019-05": 1393}
OURS = ROOT / "examples" / "charts"


def drafted(charts: Path, site: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if not charts.exists():
        say = f"{charts} is not there"
        pytest.fail(say) if os.environ.get("CI") else pytest.skip(say)
    capsys.readouterr()
    assert main(["draft", str(charts), "--site", site]) == 0
    claims = folder / "claims.ndjson"
    claims.write_text(capsys.readouterr().out, encoding="utf-8")
    return claims


def sent(claims: Path, out: Path, site: str, *more: str) -> list[Path]:
    before = set(out.glob("*.x12"))
    assert main(["x12", "write", str(claims), "-o", str(out), "--site", site, *more]) == 0
    return sorted(set(out.glob("*.x12")) - before)


def all_read(files: list[Path], folder: Path) -> int:
    """How many claims the files hold, after pyx12, x12sdk and our own check have read them."""
    assert main(["x12", "check", *map(str, files)]) == 0
    count = 0
    for path in files:
        data = path.read_bytes()
        assert pyx12_says(data), path.name
        assert list(models(data, folder)), path.name
        count += data.count(b"\nCLM*")
    return count


@pytest.mark.parametrize("charts", MAY_LEAVE)
def test_every_837_of_real_charts_is_read_by_strangers(
    charts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = drafted(CHARTS / charts, "synthea", tmp_path, capsys)
    files = sent(claims, tmp_path / "out", "synthea")
    assert all_read(files, tmp_path) == MAY_LEAVE[charts]


def test_numbers_go_on_and_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims = drafted(CHARTS / "synthea-2020-08", "synthea", tmp_path, capsys)
    out = tmp_path / "out"
    (first,) = sent(claims, out, "synthea")
    kept = first.read_bytes()
    (second,) = sent(claims, out, "synthea", "--test")
    (third,) = sent(claims, out, "synthea", "--first-control", "41")
    assert [path.stem[-9:] for path in (first, second, third)] == ["000000001", "000000002", "000000041"]
    assert first.read_bytes() == kept
    assert second.read_bytes()[102:103] == b"T"
    capsys.readouterr()
    assert main(["x12", "read", str(second)]) == 0
    assert json.loads(capsys.readouterr().out)["interchanges"][0]["test"] is True


def test_our_own_charts_are_read_by_strangers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = tmp_path / "charts"
    closed.mkdir()
    for path in OURS.glob("*.json"):  # the demo closes each visit; here they are closed already
        text = re.sub(r'"status": ?"in-progress"', '"status": "finished"', path.read_text(encoding="utf-8"))
        (closed / path.name).write_text(text, encoding="utf-8")
    claims = drafted(closed, "demo", tmp_path, capsys)
    assert all_read(sent(claims, tmp_path / "out", "demo"), tmp_path) > 10


def test_a_line_that_is_no_claim_is_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = drafted(CHARTS / "synthea-2020-08", "synthea", tmp_path, capsys)
    claims.write_text('{"resourceType": "Patient"}\n{broken\n' + claims.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["x12", "write", str(claims), "-o", str(tmp_path / "out"), "--site", "synthea"]) == 1
    err = capsys.readouterr().err
    assert f"{claims}: line 1: " in err
    assert f"{claims}: line 2: " in err
    assert "3 claims in 1 files" in err
