"""Staff sign in at their own identity provider, a real one on loopback, and come back with a name and nothing else."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_people import NOW
from smart_app.face import FaceSettings
from tools.screenshots import served


@pytest.fixture
def example() -> Example:
    return Example()


@pytest.fixture
def staff(staff_oidc: str, example: Example) -> Any:
    settings = FaceSettings(
        organization="Example Clinic",
        oidc_issuer=staff_oidc,
        oidc_client_id="desk",
        oidc_client_secret="only-for-this-test",
        session_secret="only-for-this-test-" * 2,
        now=lambda: NOW,
    )
    with served(create_app(example, example, settings)) as base:
        yield base


def test_a_biller_signs_in_and_lands_where_they_wanted(staff: str, example: Example) -> None:
    with httpx2.Client(base_url=staff, follow_redirects=False) as browser:
        turned = browser.get("/worklists/held")
        assert turned.headers["location"] == "/sign-in?next=/worklists/held"
        page = browser.get(turned.headers["location"]).text
        assert "Go on as" not in page, "the demo user exists only in the demo"
        [begin] = re.findall(r'href="(/sign-in/oidc[^"]*)"', page)
        asked = browser.get(begin).headers["location"]
        assert "code_challenge=" in asked
        assert "state=" in asked
        answered = browser.post(asked, data={"sub": "biller@example.com"}).headers["location"]
        assert answered.startswith(f"{staff}/sign-in/back?")
        landed = browser.get(answered)
        assert landed.headers["location"] == "/worklists/held"
        assert "Bea Biller" in browser.get("/worklists/held").text
        assert example.audited[-1][0] == "Bea Biller <biller@example.com>", "two people may share a name"


def test_an_answer_that_nobody_asked_for_is_refused(staff: str) -> None:
    with httpx2.Client(base_url=staff, follow_redirects=False) as browser:
        answer = browser.get("/sign-in/back?code=stolen&state=made-up")
        assert answer.status_code == 403
        assert browser.get("/").status_code == 303
