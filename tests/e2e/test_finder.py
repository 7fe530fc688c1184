"""A clinician who knows no code finds one by a few words, in the EHR's frame, by keys alone; and finds the visit's level."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from fhir_billing import code_tables
from tests.e2e.axe import violations
from tests.e2e.bedside import Patient, Ward

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page

needs_table = pytest.mark.skipif(
    code_tables.diagnoses() is None and not os.environ.get("CI"),
    reason="the table of diagnoses was not made: make setup",
)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 800, "height": 900}, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def patient(ward: Ward) -> Patient:
    return ward.admit()


def arrived(page: Page, ward: Ward, patient: Patient) -> FrameLocator:
    app = ward.open(page, patient)
    expect(app.get_by_role("link", name="This visit")).to_be_visible()
    return app


def inner(page: Page) -> Frame:
    found = page.frame(name="app0")
    assert found is not None
    return found


def goto(page: Page, name: str) -> None:
    """Another of the launched pages, in the same frame."""
    frame = inner(page)
    frame.goto(re.sub(r"/v/([^/?#]+)/.*", rf"/v/\1/{name}", frame.url))


@needs_table
def test_something_else_is_found_by_words_and_keys_and_answers_the_question(
    page: Page, ward: Ward, patient: Patient
) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    app = arrived(page, ward, patient)
    app.get_by_role("button", name="Something else").first.click(timeout=4000)
    words = app.get_by_label("Words or code")
    expect(words).to_be_focused()
    assert patient.id not in inner(page).url
    words.press_sequentially("left ankel sprian", delay=20)
    option = app.get_by_role("option", name=re.compile("S93.402A"))
    expect(option).to_be_visible()
    assert violations(inner(page)) == []
    words.press("ArrowDown")
    expect(app.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    words.press("Enter")
    expect(app.get_by_text("Sprain of").first).to_be_visible()
    expect(app.get_by_role("link", name="This visit")).to_be_visible()
    with ward.wiring.store.looking() as book:
        (asked,) = book.asked(encounter=patient.encounter)
    assert b"S93" in asked.answer
    assert ward.wiring.codes.habits.used(asked.answered_by)
    assert complaints == []


@needs_table
def test_the_chart_comes_first_and_a_star_keeps_a_code_at_hand(page: Page, ward: Ward, patient: Patient) -> None:
    app = arrived(page, ward, patient)
    goto(page, "codes")
    expect(app.get_by_role("option").first).to_contain_text("In the chart")
    app.get_by_label("Words or code").fill("gout")
    option = app.get_by_role("option", name=re.compile("M10.9"))
    expect(option).to_be_visible()
    app.get_by_role("button", name="Keep M10.9 at hand").click()
    expect(app.get_by_role("button", name="Keep M10.9 at hand")).to_have_attribute("aria-pressed", "true")
    expect(app.get_by_role("option").first).to_contain_text("At hand")
    app.get_by_role("radio", name="Charges").check(force=True)
    app.get_by_label("Words or code").fill("knee shot")
    expect(app.get_by_role("option").first).to_contain_text("20610")
    assert violations(inner(page)) == []


@needs_table
def test_without_script_a_search_is_a_form_and_a_heading_opens(chromium: Browser, ward: Ward, patient: Patient) -> None:
    context = chromium.new_context(viewport={"width": 800, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    app = arrived(page, ward, patient)
    goto(page, "codes")
    app.get_by_label("Words or code").fill("J45")
    app.get_by_role("button", name="Search").click()
    app.get_by_role("option", name=re.compile("^Asthma J45")).click()
    expect(app.get_by_role("heading", name="Asthma")).to_be_visible()
    expect(app.get_by_role("option").first).to_contain_text("J45.2")
    assert "J45" not in inner(page).url
    context.close()


def test_a_visits_level_is_found_with_its_reason_and_told_to_billing(page: Page, ward: Ward, patient: Patient) -> None:
    app = arrived(page, ward, patient)
    goto(page, "level")
    assert app.get_by_role("radio", checked=True).count() == 0
    app.get_by_label("Minutes spent").fill("32")
    app.get_by_role("button", name="Find by time").click()
    expect(app.get_by_text("Say whether the patient is new or known.")).to_be_visible()
    app.get_by_label("Known patient").check()
    app.get_by_role("button", name="Find by time").click()
    expect(app.get_by_text("99214 is from 30 minutes on")).to_be_visible()
    assert violations(inner(page)) == []
    app.get_by_role("button", name="Tell billing 99214").click()
    expect(app.get_by_text("Known patient, 32 minutes").first).to_be_visible()
    with ward.wiring.store.looking() as book:
        kept = [a for a in book.asked(encounter=patient.encounter) if a.key.startswith("level:")]
    assert b"99214" in kept[0].answer
    assert b"32 minutes" in kept[0].answer
