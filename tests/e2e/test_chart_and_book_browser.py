"""Chart and book in Debian's Chromium: the keys reach every decision, and nothing is in the way of whoever cannot see it well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_connection import ExampleConnection
from smart_app.example_people import NOW
from smart_app.example_sides import LATE
from smart_app.face import FaceSettings
from tests.e2e.axe import violations
from tools.screenshots import served, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LIST = "/desk/chart-differences"
INK_AND_GROUND = """[...document.querySelectorAll('details.act[open] > summary')].map(one => {
  const style = getComputedStyle(one); return [style.color, style.backgroundColor];
})"""
PROPOSAL = "/desk/proposals/" + LATE.replace(":", "/")


@pytest.fixture(scope="module")
def example() -> Example:
    return Example()


@pytest.fixture(scope="module")
def base(example: Example) -> Iterator[str]:
    settings = FaceSettings(organization="Example Clinic", demo=True, now=lambda: NOW, connection=ExampleConnection())
    with served(create_app(example, example, settings)) as address:
        yield address


def test_a_proposal_is_reached_and_dismissed_without_a_mouse(chromium: Browser, base: str, example: Example) -> None:
    page = signed_in(chromium, base, width=1440, theme="light")
    page.goto(base + LIST)
    page.keyboard.press("n")
    page.wait_for_url(f"**{PROPOSAL}")
    page.keyboard.press("a")
    assert page.evaluate("document.activeElement.id") == "accept-reason"
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    assert page.evaluate("document.activeElement.id") == "dismiss-reason"
    page.keyboard.type("the contract says so")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{LIST}")
    expect(page.locator("[data-flash]")).to_contain_text("what was sent stands")
    assert example.acted[-1][:2] == ("proposal-dismiss", {"proposal": LATE, "reason": "the contract says so"})
    page.context.close()


@pytest.mark.parametrize(("theme", "width"), [("light", 800), ("dark", 800), ("contrast", 1440), ("light", 320)])
def test_axe_finds_nothing_and_nothing_runs_off_the_screen(
    chromium: Browser, base: str, theme: str, width: int
) -> None:
    page = signed_in(chromium, base, width=width, theme=theme)
    for path in (LIST, f"{LIST}?closed=1", PROPOSAL):
        page.goto(base + path)
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_a_form_that_is_open_can_be_read_with_the_button_that_opened_it(
    chromium: Browser, base: str, theme: str
) -> None:
    page = signed_in(chromium, base, width=1440, theme=theme)
    for path in (PROPOSAL, LIST, "/desk/ehr", "/claims/C-EX0005", "/patients/zzte-jo", "/books"):
        page.goto(base + path)
        assert page.evaluate("document.querySelectorAll('details.act').forEach(one => one.open = true)") is None
        assert violations(page) == [], path
        same = [pair for pair in page.evaluate(INK_AND_GROUND) if pair[0] == pair[1]]
        assert same == [], f"{path}: axe says nothing of ink that is its ground"
    page.context.close()


def test_a_number_is_never_cut(chromium: Browser, base: str) -> None:
    page = signed_in(chromium, base, width=800, theme="light")
    page.goto(base + LIST)
    page.evaluate("document.querySelectorAll('td .code b').forEach(one => one.textContent = 'C-WMWMWMWMWMWM-W2')")
    cut = page.evaluate(
        "[...document.querySelectorAll('td:has(.code)')].filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert page.locator("td .code b").count() > 0
    assert cut == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.context.close()
