"""The counterparts of the tests are servers nobody here wrote; each of them answers."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.conftest import Sekmet


def answer(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=20) as response:
        found = json.load(response)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("ehr", ["sekmet", "sekmet_smart"])
def test_the_sandbox_ehr_speaks_fhir_r4(ehr: str, request: pytest.FixtureRequest) -> None:
    server: Sekmet = request.getfixturevalue(ehr)
    assert str(answer(f"{server.url}/metadata")["fhirVersion"]).startswith("4.0")


def test_redis_keeps_what_it_is_given(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.set("peers:proof", "kept")
        assert client.get("peers:proof") == b"kept"


def test_a_fresh_postgres_database_has_no_tables(fresh_postgres_url: str) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(fresh_postgres_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_the_staff_sign_in_publishes_its_endpoints(staff_oidc: str) -> None:
    assert answer(f"{staff_oidc}/.well-known/openid-configuration")["authorization_endpoint"]


def test_the_browser_draws_a_page(page: Page) -> None:
    page.set_content("<title>ready</title>")
    assert page.title() == "ready"
