"""`doctor` says of each part of an installation whether it stands, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_billing.cli import main
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from tests.attacks.other_ehr import OtherEhr

Doctor = Callable[..., str]
LAUNCH_FILE = "iss: {iss}\nclient_id: fhir-billing\nframe_ancestors: [https://ehr.example]\n"


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    database = f"sqlite:///{tmp_path / 'book.db'}"
    migrate(Settings(database=database).database_url)
    monkeypatch.setenv("FHIR_BILLING_DATABASE", database)

    def line(name: str, **settings: str) -> str:
        for key, value in settings.items():
            monkeypatch.setenv(f"FHIR_BILLING_{key.upper()}", value)
        main(["doctor"])
        return next(one for one in capsys.readouterr().out.splitlines() if one.startswith(name))

    return line


def test_an_installation_without_launch_files_says_that_clinicians_open_no_page(doctor: Doctor) -> None:
    assert "FHIR_BILLING_LAUNCHES" in doctor("launches")


def test_a_launch_file_without_a_session_secret_is_not_ok(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "doors").mkdir()
    line = doctor("launches", launches=str(tmp_path / "doors"))
    assert "NOT OK: set FHIR_BILLING_SESSION_SECRET" in line


def test_a_door_says_where_its_ehr_signs_in_and_one_that_cannot_be_asked_is_not_ok(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "doors").mkdir()
    (tmp_path / "doors" / "clinic.yaml").write_text(LAUNCH_FILE.format(iss="http://127.0.0.1:9/fhir"))
    settings = {"launches": str(tmp_path / "doors"), "session_secret": "x" * 40}
    assert "NOT OK" in doctor("launches", **settings)
    ehr = OtherEhr()
    (tmp_path / "doors" / "clinic.yaml").write_text(LAUNCH_FILE.format(iss=ehr.iss))
    line = doctor("launches", **settings)
    ehr.close()
    assert f"clinic signs in at {ehr.root}" in line
