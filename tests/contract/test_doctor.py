"""`doctor` says of each part of an installation whether it stands, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_billing.cli import main
from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.cycle.looking import Subscribed
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import wire
from fhir_billing.worker import topics
from tests.attacks.other_ehr import OtherEhr
from tests.contract.odd_ehr import OddEhr

Doctor = Callable[..., str]
EMPTY = (
    Interaction(key="search-visit", group="reading", what="Finished visits", found=Found.WORKS),
    Interaction(key="read-visit", group="reading", what="One visit"),
)
"""A check of an EHR without visits."""
LAUNCH_FILE = "iss: {iss}\nclient_id: fhir-billing\nframe_ancestors: [https://ehr.example]\n"


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    database = f"sqlite:///{tmp_path / 'book.db'}"
    migrate(Settings(database=database).database_url)
    monkeypatch.setenv("FHIR_BILLING_DATABASE", database)

    def line(name: str, code: int | None = None, **settings: str) -> str:
        for key, value in settings.items():
            monkeypatch.setenv(f"FHIR_BILLING_{key.upper()}", value)
        exited = main(["doctor"])
        assert code in {None, exited}
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


@pytest.fixture
def ehr() -> Iterator[OddEhr]:
    """An EHR that works and has nobody in it."""
    peer = OddEhr("empty")
    yield peer
    peer.close()


def kept(tmp_path: Path, run: Conformance) -> None:
    wire(Settings(database=str(tmp_path / "book.db"))).keep_conformance(run)


def test_scopes_are_no_matter_for_an_ehr_that_is_asked_without_a_token(doctor: Doctor, ehr: OddEhr) -> None:
    assert "NOT OK" not in doctor("ehr ", 0, ehr_url=ehr.url, ehr_triggers="poll")


def test_scopes_that_let_nothing_be_written_are_not_ok_until_a_check_has_seen_a_way(
    doctor: Doctor, tmp_path: Path
) -> None:
    peer = OddEhr("tokens")
    line = doctor("ehr ", 1, ehr_url=peer.url, ehr_secret_env="HOME")
    assert "NOT OK for writing" in line
    assert "set FHIR_BILLING_EHR_SCOPES" in line
    kept(
        tmp_path, Conformance(url=peer.url, at=datetime.now(UTC), interactions=EMPTY, triggers=("poll",), rung="hl7v2")
    )
    line = doctor("ehr ", 0)
    peer.close()
    assert "the chart is told by hl7v2" in line
    assert "NOT OK" not in line


def test_a_tenants_lack_is_named_by_the_word_of_its_file_and_a_broken_file_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer, folder = OddEhr("tokens"), tmp_path / "tenants"
    folder.mkdir()
    migrate(f"sqlite:///{folder / 'a.db'}")
    ehr = f"ehr: {{url: '{peer.url}', secret_env: HOME, triggers: [poll, topic]}}"
    (folder / "a.yaml").write_text(f"public_url: http://a.localhost\nsite: demo\ndatabase: a.db\n{ehr}\n")
    (folder / "b.yaml").write_text("public_url: https://b.example\nsight: demo\n")
    (folder / "c.yaml").write_text("{")
    monkeypatch.setenv("FHIR_BILLING_TENANTS", str(folder))
    assert main(["doctor"]) == 3
    peer.close()
    out = capsys.readouterr().out
    assert "NOT OK: b.yaml: 'sight' is no word of a tenant file" in out
    assert "NOT OK: c.yaml" in out
    assert "set ehr.scopes in its tenant file" in out
    assert "topic: nobody is asked to ring without a secret; set hooks.secret_env in its tenant file" in out
    assert "FHIR_BILLING_EHR" not in out


def test_how_visits_are_found_is_said_with_what_keeps_the_ehr_from_ringing(
    doctor: Doctor, ehr: OddEhr, tmp_path: Path
) -> None:
    assert "no trigger called 'pol'" in doctor("triggers", 3, ehr_url=ehr.url, ehr_triggers="pol")
    line = doctor("triggers", 1, ehr_triggers="poll,hook,hl7v2")
    assert "NOT OK: hook: nobody is asked to ring without a secret; set FHIR_BILLING_HOOK_SECRET" in line
    assert "NOT OK: hl7v2: nobody listens; set FHIR_BILLING_MLLP_LISTEN" in line
    settings = {"hook_secret": "x" * 40, "mllp_listen": "127.0.0.1:2575"}
    assert doctor("triggers", 0, **settings).endswith("poll, hook, hl7v2")
    topics.hold(wire(), [Subscribed(way="hook", id="7", status="error")])
    assert "NOT OK: the EHR says error of its hook (Subscription/7)" in doctor("triggers", 1)


def test_where_hl7_arrives_and_which_apps_there_are_is_said_when_they_are_set(doctor: Doctor, tmp_path: Path) -> None:
    assert "127.0.0.1:2575 from 127.0.0.0/8" in doctor("mllp", 0, mllp_listen="127.0.0.1:2575")
    assert "NOT OK: the folder holds no app file" in doctor("apps", apps=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("HOOK_ALLOW", "10.0.0.0/99"),
        ("HOOK_ALLOW", ","),
        ("MLLP_ALLOW", "here"),
        ("MLLP_LISTEN", "0.0.0.0:99999"),
        ("HL7_OUT", "nowhere"),
        ("RECONCILE_AT", "99"),
        ("EHR_AT_ONCE", "many"),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "serve", "worker"])
def test_a_setting_that_cannot_be_stops_the_start_and_is_named(
    command: str, name: str, wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"FHIR_BILLING_{name}", wrong)
    assert main([command]) == 3
    assert f"fhir-billing: FHIR_BILLING_{name}: " in capsys.readouterr().err
