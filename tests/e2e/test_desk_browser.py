"""A claim is followed from the visit to the money in Debian's Chromium, with the keys, in every theme, without one console complaint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from playwright.sync_api import expect

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_connection import ExampleConnection
from smart_app.example_people import NOW
from smart_app.face import FaceSettings
from tools.screenshots import PAGES, served, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def example() -> Example:
    return Example()


@pytest.fixture(scope="module")
def base(example: Example) -> Iterator[str]:
    settings = FaceSettings(organization="Example Clinic", demo=True, now=lambda: NOW, connection=ExampleConnection())
    with served(create_app(example, example, settings)) as address:
        yield address


@pytest.fixture
def desk(chromium: Browser, base: str) -> Iterator[Page]:
    page = signed_in(chromium, base, width=1440, theme="light")
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.context.close()
    assert complaints == [], "the browser complained (content policy, script, a missing file)"


def test_no_page_breaks_the_policy_or_runs_off_the_screen(desk: Page, base: str) -> None:
    for path in PAGES.values():
        desk.goto(base + path)
        wide, room = desk.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room, f"{path} is {wide} wide on a screen of {room}"


@pytest.mark.parametrize("width", [320, 800])
def test_a_narrow_screen_holds_every_page(chromium: Browser, base: str, width: int) -> None:
    page = signed_in(chromium, base, width=width, theme="light")
    off = []
    for path in PAGES.values():
        page.goto(base + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        off += [f"{path}: {wide}"] if wide > width else []
    page.context.close()
    assert off == []


def test_keys_move_through_a_list_and_the_preview_follows(desk: Page, base: str) -> None:
    desk.goto(f"{base}/worklists/rejected")
    preview = desk.locator("#preview")
    assert "C-EX0002" in preview.inner_text()
    desk.keyboard.press("j")
    expect(preview).to_contain_text("C-EX0003")
    assert desk.evaluate("document.activeElement.textContent") == "C-EX0003"
    assert "Example-Quill, Wren" in preview.inner_text()
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/claims/C-EX0003")
    desk.keyboard.press("e")
    assert desk.evaluate("document.activeElement.name") == "change", "E opens the fix and puts the hand into it"
    desk.keyboard.press("Escape")
    desk.locator("h1").click()
    desk.keyboard.press("g")
    desk.keyboard.press("t")
    desk.wait_for_url(f"{base}/")


def test_esc_takes_the_hand_out_of_a_field(desk: Page, base: str) -> None:
    desk.goto(f"{base}/find")
    expect(desk.locator("#words")).to_be_focused()
    desk.keyboard.press("Escape")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_be_visible()


def test_on_the_narrowest_screen_the_pages_stand_behind_one_button(chromium: Browser, base: str) -> None:
    page = signed_in(chromium, base, width=320, theme="light")
    page.goto(f"{base}/visits")
    link = page.locator('.nav a[href="/remittances"]')
    expect(link).to_be_hidden()
    page.locator("label.menu").click()
    expect(link).to_be_visible()
    link.click()
    page.wait_for_url("**/remittances")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.context.close()


def test_no_column_of_the_visits_is_cut_off_on_a_tablet(chromium: Browser, base: str) -> None:
    page = signed_in(chromium, base, width=800, theme="light")
    page.goto(f"{base}/visits")
    assert page.evaluate("(s => s.scrollWidth - s.clientWidth)(document.querySelector('.scroll'))") <= 0
    page.context.close()


def test_letters_do_nothing_in_a_field_and_can_be_switched_off(desk: Page, base: str) -> None:
    desk.goto(f"{base}/find")
    expect(desk.locator("#words")).to_be_focused()
    desk.keyboard.type("just")
    assert desk.input_value("#words") == "just"
    desk.goto(f"{base}/worklists/rejected")
    desk.keyboard.press("?")
    desk.get_by_role("dialog").get_by_label("Single letters are off").check()
    desk.get_by_role("dialog").get_by_role("button").click()
    desk.keyboard.press("n")
    assert desk.url == f"{base}/worklists/rejected"


def test_news_announces_itself_and_the_list_stays_still(desk: Page, base: str, example: Example) -> None:
    from dataclasses import replace

    from fhir_billing.domain.lifecycle import State

    desk.clock.install()
    desk.goto(f"{base}/worklists/rejected")
    before = desk.locator("a.row").all_inner_texts()
    row = example._rows["C-EX0010"]
    example._rows["C-EX0010"] = replace(row, state=State.REJECTED)
    try:
        desk.clock.run_for(16_000)
        desk.locator("[data-banner]").wait_for(state="visible")
        assert desk.locator("a.row").all_inner_texts() == before
        assert desk.locator('[data-n="/worklists/rejected"]').inner_text() == "4"
    finally:
        example._rows["C-EX0010"] = row


def test_names_blur_when_nobody_is_there(desk: Page, base: str) -> None:
    desk.clock.install()
    desk.goto(f"{base}/worklists/rejected")
    name = desk.locator("[data-name]").first
    assert "blur" not in (name.get_attribute("class") or "")
    desk.clock.run_for(181_000)
    assert "blur" in (name.get_attribute("class") or "")
    desk.keyboard.press("Shift")
    assert "blur" not in (name.get_attribute("class") or "")


def test_a_page_reads_without_scripts(chromium: Browser, base: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}/sign-in")
    page.get_by_role("button", name="Go on as").click()
    page.goto(f"{base}/claims/C-EX0009")
    text = page.locator("main").inner_text()
    assert "Open balance" in text
    assert "Billed to EXC02" in text
    assert "Receivable" not in text
    assert "Payer owes" in text, "the money tab is read without a script too"
    page.get_by_text("Give up", exact=True).click()
    page.locator("#give-up-reason").fill("Too small to fight for")
    page.get_by_role("button", name="Give up $1,240.00").click()
    assert "given up" in page.locator("[data-flash]").inner_text()
    context.close()


def test_a_claim_is_followed_from_the_visit_to_the_money(chromium: Browser, tmp_path: Path) -> None:
    """S2 as a biller lives it: rejected, mended on the screen, sent again, paid; the patient pays at the desk."""
    from fhir_billing.domain.lifecycle import State
    from smart_app.mount import mount
    from tests.e2e import charts
    from tests.e2e.story import Story

    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="demo", day="2026-03-03")
    story.wiring.settings.demo = True
    resources = charts.finished(charts.chart("bo"))
    story.visit(charts.encounter_of(resources), resources)
    for _ in range(2):
        story.send()
        story.collect()
    number = story.only_claim().number
    assert story.state(number) is State.REJECTED
    app = FastAPI()
    mount(app, story.wiring, lambda: None)
    with served(app) as base:
        page = signed_in(chromium, base, width=1440, theme="light")
        page.goto(f"{base}/worklists/rejected")
        assert number in page.locator("table").inner_text()
        page.goto(f"{base}/claims/{number}")
        assert "nothing to appeal" in page.content() or page.get_by_text("Appeal", exact=True).count() == 0
        page.keyboard.press("e")
        page.locator("#correct-change").select_option("")
        page.get_by_role("button", name="Save and send again").click()
        assert "checked again" in page.locator("[data-flash]").inner_text()
        story.send()
        story.collect()
        page.goto(f"{base}/claims/{number}")
        assert "Paid" in page.locator("h1").inner_text()
        strip = re.sub(r"\s+", " ", page.locator("section.strip").inner_text())
        assert "Open balance" in strip
        owed = page_sum(story, number)
        page.goto(f"{base}/patients/{story.only_claim().patient.rpartition('/')[2]}")
        if owed:
            page.get_by_text("Enter a payment").first.click()
            page.get_by_role("button", name="Enter the payment").click()
            assert "Payment entered" in page.locator("[data-flash]").inner_text()
        assert "$0.00" in page.locator(".amount").first.inner_text()
        page.goto(f"{base}/books")
        assert "The ledger sums to zero" in page.content()
        assert "The claims add up to the ledger" in page.content()
        page.context.close()
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def page_sum(story: object, number: str) -> int:
    """What the patient owes on a claim, as the screens read it."""
    claim = story.wiring.views.claim(number)  # type: ignore[attr-defined]
    assert claim is not None
    assert claim.sums.off_by == 0
    return int(claim.sums.patient_owes)
