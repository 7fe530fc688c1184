"""Whoever cannot see the desk, or not well, finds nothing on it that axe-core would object to, in any theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_connection import ExampleConnection
from smart_app.example_people import NOW
from smart_app.face import FaceSettings
from tests.e2e.axe import violations
from tools.screenshots import PAGES, served, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_on_the_desk(chromium: Browser, theme: str) -> None:
    example = Example()
    settings = FaceSettings(organization="Example Clinic", demo=True, now=lambda: NOW, connection=ExampleConnection())
    found = []
    with served(create_app(example, example, settings)) as base:
        page = signed_in(chromium, base, width=1440, theme=theme)
        for name, path in PAGES.items():
            page.goto(base + path)
            found += [f"{name}: {line}" for line in violations(page)]
        page.context.close()
    assert found == [], "\n".join(found)
