"""A file that cannot be read or written is told in a sentence, and the others go on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cli import drafting, main
from tests.unit.mapping.visits import chart


def bundle(resources: list[dict[str, Any]]) -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.json"
    path.write_bytes(bundle(chart()))
    return path


def test_a_file_that_unpacks_to_too_much_is_refused_and_the_others_go_on(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drafting, "MOST_BYTES", 2 * 1024**2)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * (3 * 1024**2)))
    assert main(["draft", str(tmp_path / "bomb.json.gz"), str(good), "--site", "synthea"]) == 1
    err = capfd.readouterr().err
    assert "bomb.json.gz: unpacks to more than 2 MiB" in err
    assert err.splitlines()[-1].startswith("1 read = 1 ready")


def test_a_path_that_may_not_be_looked_at_is_refused_and_the_others_go_on(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = Path.stat

    def stat(self: Path, **known: Any) -> Any:
        if self.name == "closed":
            raise PermissionError(13, "Permission denied", str(self))
        return plain(self, **known)

    monkeypatch.setattr(Path, "stat", stat)
    assert main(["draft", str(tmp_path / "closed"), str(good), "--site", "synthea"]) == 1
    err = capfd.readouterr().err
    assert "closed: cannot be read: Permission denied" in err
    assert err.splitlines()[-1].startswith("1 read = 1 ready")


def test_a_finished_visit_without_an_id_is_counted_as_held(
    tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.json").write_bytes(bundle(chart(encounter={"id": 7}, patient={"id": "q"})))
    assert main(["draft", str(tmp_path / "odd.json"), str(good), "--site", "synthea"]) == 1
    assert capfd.readouterr().err.splitlines()[-1].startswith("2 read = 1 ready + 1 held (malformed-resource 1)")


@pytest.fixture
def claims(tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    main(["draft", str(good), "--site", "synthea"])
    path = tmp_path / "claims.ndjson"
    path.write_text(capfd.readouterr().out)
    return path


def test_too_few_control_numbers_are_told_before_anything_is_written(
    tmp_path: Path, claims: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "x-999999999.x12").touch()
    asked = ["x12", "write", str(claims), "-o", str(out), "--site", "synthea", "--first-control", "999999999"]
    assert main(asked) == 2
    assert "give a smaller one" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, claims: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = Path.open

    def refuse(self: Path, mode: str = "r", *rest: Any, **known: Any) -> Any:
        if "x" in mode:
            raise PermissionError(13, "Permission denied", str(self))
        return plain(self, mode, *rest, **known)

    monkeypatch.setattr(Path, "open", refuse)
    assert main(["x12", "write", str(claims), "-o", str(tmp_path / "out"), "--site", "synthea"]) == 1
    assert "cannot be written: Permission denied" in capfd.readouterr().err


def test_a_site_that_is_not_there_is_a_mistyped_option(tmp_path: Path, claims: Path) -> None:
    assert main(["x12", "write", str(claims), "-o", str(tmp_path / "out"), "--site", "nowhere"]) == 2
    assert main(["draft", str(claims), "--site", "nowhere"]) == 2
