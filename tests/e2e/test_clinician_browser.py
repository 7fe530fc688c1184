"""The clinician's pages in Debian's Chromium: one digit answers, focus goes on, news come without moving what is under the hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.opened import Chart, Room, problem, room
from tools.screenshots import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def undiagnosed(chart: Chart) -> None:
    chart.without("Condition")
    patient = f"Patient/{chart.patient['id']}"
    chart.problems = [
        problem(patient, "p1", "J02.9", "Sore throat"),
        problem(
            patient, "p2", "M17.11", "Right knee arthritis, known for a long time and told at length", "2019-05-01"
        ),
    ]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[tuple[Room, str]]:
    with room(tmp_path, change=undiagnosed, see_charges=True) as made, served(made.app) as base:
        yield made, base.replace("127.0.0.1", "localhost")


@pytest.fixture
def opened(chromium: Browser, ward: tuple[Room, str]) -> Iterator[Page]:
    """This visit, with its cookie; whatever the browser complains of fails the test."""
    page = show(chromium, ward)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.context.close()
    assert complaints == []


def show(chromium: Browser, ward: tuple[Room, str], *, width: int = 800, theme: str = "light", **more: Any) -> Page:
    made, base = ward
    kept = made.session()
    handle = kept.launched.handle
    context = chromium.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **more)
    context.add_cookies(
        [
            {"name": "theme", "value": theme, "url": base},
            {"name": f"v-{handle}", "value": kept.token, "domain": "localhost", "path": f"/v/{handle}"},
        ]
    )
    page = context.new_page()
    page.goto(f"{base}/v/{handle}/visit")
    return page


def asks(made: Room, *texts: str) -> None:
    (claim,) = made.wiring.views.claims()
    for text in texts:
        facts = {"claim": claim.number, "ask": text, "choices": ["Right", "Left"], "asked_of": ""}
        made.app.state.face.acts.act("ask", facts, "Bea Biller", f"key-{abs(hash(text))}")


def test_one_digit_answers_and_the_page_says_so_without_being_left(opened: Page) -> None:
    opened.evaluate("window.stayed = true")
    opened.keyboard.press("1")
    expect(opened.locator(".given")).to_contain_text("Sore throat")
    expect(opened.get_by_role("heading", level=1)).to_have_text("Nothing is missing: this visit can be billed")
    expect(opened.locator("#said")).to_be_focused()
    expect(opened.locator("[data-told]")).to_contain_text("Saved: Sore throat")
    assert opened.evaluate("window.stayed"), "the page was swapped in place"


def test_after_an_answer_focus_goes_to_the_next_question(ward: tuple[Room, str], opened: Page) -> None:
    ward[0].finish()
    asks(ward[0], "Which knee was injected?", "Which shoulder hurts?")
    opened.reload()
    expect(opened.locator(".ask")).to_have_count(3)
    opened.keyboard.press("1")
    expect(opened.locator(".ask")).to_have_count(2)
    assert opened.evaluate("document.activeElement === document.querySelector('.ask h2')")
    opened.keyboard.press("2")
    expect(opened.locator(".ask")).to_have_count(1)


def test_the_whole_visit_is_answered_by_keyboard_alone(opened: Page) -> None:
    seen = []
    for _ in range(12):
        opened.keyboard.press("Tab")
        seen.append(opened.evaluate("(document.activeElement.innerText || '').split('\\n').join(' ').trim()"))
    answers = [text for text in seen if text.startswith(("1", "2", "3", "4"))]
    assert [text[0] for text in answers] == ["1", "2", "3", "4"], seen
    opened.keyboard.press("Shift+Tab")
    opened.get_by_role("button", name="Sore throat").focus()
    opened.keyboard.press("Enter")
    expect(opened.locator(".given")).to_contain_text("Sore throat")


def test_what_billing_does_appears_by_itself(ward: tuple[Room, str], opened: Page) -> None:
    ward[0].finish()
    asks(ward[0], "Which knee was injected?")
    expect(opened.get_by_role("heading", name="Which knee was injected?")).to_be_visible(timeout=6000)
    expect(opened.get_by_role("link", name="My questions 1")).to_be_visible()


def test_news_never_move_what_is_under_the_hand(ward: tuple[Room, str], opened: Page) -> None:
    ward[0].finish()
    asks(ward[0], "Which knee was injected?")
    expect(opened.get_by_role("heading", name="Which knee was injected?")).to_be_visible(timeout=6000)
    card = opened.locator(".ask", has_text="Which knee")
    card.locator("summary").click()
    field = card.get_by_label("Your words")
    field.fill("The left one, bel")
    asks(ward[0], "Which shoulder hurts?")
    expect(opened.get_by_text("There is news on this page.")).to_be_visible(timeout=6000)
    expect(field).to_be_focused()
    expect(field).to_have_value("The left one, bel")
    field.press("Escape")
    opened.get_by_role("button", name="Show it").click()
    expect(opened.get_by_role("heading", name="Which shoulder hurts?")).to_be_visible()


def test_a_digit_typed_into_a_field_answers_nothing(ward: tuple[Room, str], opened: Page) -> None:
    ward[0].finish()
    asks(ward[0], "Which knee was injected?")
    opened.reload()
    card = opened.locator(".ask", has_text="Which knee")
    card.locator("summary").click()
    card.get_by_label("Your words").press("1")
    expect(card.get_by_label("Your words")).to_have_value("1")
    assert opened.locator(".ask").count() == 2


@pytest.mark.parametrize("width", [320, 800, 1440])
def test_every_view_fits_and_every_target_is_large_enough(
    chromium: Browser, ward: tuple[Room, str], width: int
) -> None:
    ward[0].finish()
    asks(ward[0], "Which knee was injected?")
    page = show(chromium, ward, width=width)
    for name in ("visit", "bills", "questions"):
        page.goto(page.url.rpartition("/")[0] + f"/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        small = page.evaluate(
            "[...document.querySelectorAll('main button, main summary, main a, header nav a, main input:not([type=hidden])')]"
            ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 90))"
        )
        assert small == [], name
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_on_any_view(chromium: Browser, ward: tuple[Room, str], theme: str) -> None:
    page = show(chromium, ward, theme=theme)
    found = [f"open: {line}" for line in violations(page)]
    page.keyboard.press("1")
    page.wait_for_selector(".given")
    found += [f"answered: {line}" for line in violations(page)]
    ward[0].finish()
    asks(ward[0], "Which knee was injected?")
    for name in ("visit", "bills", "questions"):
        page.goto(page.url.rpartition("/")[0] + f"/{name}")
        found += [f"{name}: {line}" for line in violations(page)]
    page.context.close()
    assert found == [], "\n".join(found)


def test_without_script_the_same_answer_is_two_pages(chromium: Browser, ward: tuple[Room, str]) -> None:
    page = show(chromium, ward, java_script_enabled=False)
    page.get_by_role("button", name="Sore throat").click()
    expect(page.locator(".given")).to_contain_text("You answered just now")
    assert page.url.endswith("#said")
    page.get_by_role("button", name="Change the answer").click()
    expect(page.get_by_role("heading", name="Why was the patient seen?")).to_be_visible()
    page.context.close()


def test_two_charts_in_one_browser_never_mix(chromium: Browser, ward: tuple[Room, str], tmp_path: Path) -> None:
    made, base = ward
    one, two = made.session(), made.session(patient="Patient/other", encounter="Encounter/other")
    context = chromium.new_context()
    for kept in (one, two):
        handle = kept.launched.handle
        context.add_cookies(
            [{"name": f"v-{handle}", "value": kept.token, "domain": "localhost", "path": f"/v/{handle}"}]
        )
    first, second = context.new_page(), context.new_page()
    first.goto(f"{base}/v/{one.launched.handle}/visit")
    second.goto(f"{base}/v/{two.launched.handle}/visit")
    expect(first.get_by_role("heading", name="Why was the patient seen?")).to_be_visible()
    assert "Zztest" not in second.content()
    assert second.locator(".ask").count() == 0
    context.close()


def test_the_desk_sees_an_answer_as_it_comes(chromium: Browser, ward: tuple[Room, str], opened: Page) -> None:
    made, base = ward
    made.finish()
    asks(made, "Which knee was injected?")
    (claim,) = made.wiring.views.claims()
    desk = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    desk.goto(f"{base}/sign-in")
    desk.get_by_role("button", name="Go on as").click()
    desk.goto(f"{base}/claims/{claim.number}")
    expect(desk.locator("#asked")).to_contain_text("no answer yet")
    opened.reload()
    opened.locator(".ask", has_text="Which knee").get_by_role("button", name="Left").click()
    expect(desk.locator("#asked")).to_contain_text("Left", timeout=6000)
    opened.get_by_role("button", name="Sore throat").click()
    expect(desk.locator("h1")).to_contain_text("Ready", timeout=6000)
    desk.context.close()
