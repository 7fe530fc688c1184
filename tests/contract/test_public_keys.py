"""An EHR that fetches our keys gets their public halves, under the names that we sign with."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from fhir_billing.api.app import create_app
from fhir_billing.ehr.backend_auth import make_key, public_keys
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import wire


def test_our_public_keys_are_published_and_no_private_part_of_them(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    settings = Settings(
        database=f"sqlite:///{tmp_path / 'book.db'}", ehr_key=tmp_path / "key.pem", ehr_url="https://e.example"
    )
    migrate(settings.database_url)
    found = TestClient(create_app(wire(settings), beats=False)).get("/.well-known/jwks.json").json()
    assert found == public_keys(tmp_path / "key.pem")
    assert not {"d", "p", "q"} & set(found["keys"][0])


def test_an_installation_without_keys_publishes_an_empty_set(tmp_path: Path) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path / 'book.db'}")
    migrate(settings.database_url)
    assert TestClient(create_app(wire(settings), beats=False)).get("/.well-known/jwks.json").json() == {"keys": []}
