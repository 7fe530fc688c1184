"""A clinician opens a chart, answers one question in the EHR's frame, signs off, and watches the bill go: in a real browser.

The EHR, its sign-in and its page are on 127.0.0.1, the product is on localhost: two sites, so what the product keeps in the
browser is a third party's, and the frame is as narrow as EHRs make it (`sandbox`).
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from fhir_billing.domain.lifecycle import State
from tests.e2e.axe import violations
from tests.e2e.bedside import SANDBOX, Patient, Ward

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page

ROUNDS = int(os.environ.get("CAMPAIGN_TABS", "1"))
VISIT = re.compile(r"/v/[^/]+/visit")


class Tab:
    """One tab of the EHR with the product in its frame, and all that was asked of the network meanwhile."""

    def __init__(self, page: Page, ward: Ward) -> None:
        self.page, self.ward = page, ward
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def open(self, patient: Patient, *, sandbox: str = SANDBOX, **more: Any) -> FrameLocator:
        """Open a patient's chart in this tab."""
        self.page.goto(self.ward.framing(self.ward.launch_url(patient, **more), sandbox=sandbox))
        return self.app

    @property
    def app(self) -> FrameLocator:
        return self.page.frame_locator("iframe[name=app0]")

    @property
    def frame(self) -> Frame:
        found = self.page.frame(name="app0")
        assert found is not None
        return found

    def turn(self, view: str) -> None:
        """To another view, by its link; back when it stands there."""
        link = self.app.get_by_role("link", name=re.compile(view)).first
        link.click()
        expect(link).to_have_attribute("aria-current", "page")

    def arrived(self) -> FrameLocator:
        """Once the visit stands in the frame."""
        expect(self.app.get_by_role("link", name="This visit")).to_be_visible()
        return self.app


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 800, "height": 900}, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def tab(context: BrowserContext, ward: Ward) -> Tab:
    return Tab(context.new_page(), ward)


def state_of(ward: Ward, patient: Patient) -> State:
    """The state of the patient's only claim."""
    with ward.wiring.store.looking() as book:
        (claim,) = book.claims(patient=patient.reference)
    return claim.state


def charted(ward: Ward, kind: str, patient: Patient) -> list[dict[str, Any]]:
    """What the EHR's own chart holds of a kind, as anybody there would read it."""
    return list(ward.chart.search(kind, [("patient" if kind != "Task" else "subject", patient.reference)]))


def told(ward: Ward, patient: Patient) -> str:
    """What the EHR's own chart says became of the bill."""
    (task,) = charted(ward, "Task", patient)
    return str(task["businessStatus"]["coding"][0]["code"])


def diagnosed(ward: Ward, patient: Patient) -> list[str]:
    """The codes of the visit's own diagnoses in the EHR."""
    return [
        condition["code"]["coding"][0]["code"]
        for condition in charted(ward, "Condition", patient)
        if (condition.get("encounter") or {}).get("reference") == patient.encounter
    ]


def test_one_tap_reaches_chart_and_claim_and_the_bill_goes_to_the_payer(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    expect(app.get_by_text("Needs you").first).to_be_visible()
    app.get_by_role("button", name="Sore throat").click()
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)
    ward.beat()
    assert diagnosed(ward, patient) == ["J02.9"]

    now = app.locator("[aria-current=step]")
    expect(now).to_have_text("Being prepared")
    tab.frame.evaluate("window.neverLeft = true")
    ward.finish(patient)
    ward.send()
    assert state_of(ward, patient) is State.SENT
    expect(now).to_have_text("With the payer", timeout=20_000)
    assert told(ward, patient) == "sent"

    ward.poll()
    assert state_of(ward, patient) in {State.PAID, State.CLOSED}
    expect(now).to_have_text("Paid", timeout=20_000)
    assert told(ward, patient) == "adjudicated"
    assert tab.frame.evaluate("window.neverLeft"), "the page heard of it by itself, and was never loaded again"
    assert tab.complaints == []


def test_a_refused_answer_can_be_changed_until_the_visit_is_signed(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    app.get_by_role("button", name="Sore throat").click()
    app.get_by_role("button", name=re.compile("Change")).or_(
        app.get_by_role("link", name=re.compile("Change"))
    ).first.click()
    app.get_by_role("button", name="Right knee arthritis").click()
    expect(app.get_by_role("button", name="Right knee arthritis")).to_have_count(0)
    ward.beat()
    assert diagnosed(ward, patient) == ["M17.11"]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_two_tabs_two_patients_nothing_mixed(context: BrowserContext, ward: Ward, seed: int) -> None:
    dice = random.Random(seed)
    patients = [ward.admit(family=f"Zztest{name}") for name in ("north", "south")]
    tabs = [Tab(context.new_page(), ward) for _ in patients]
    order = [0, 1]
    dice.shuffle(order)
    for which in order:
        tabs[which].open(patients[which])
    for tab in tabs:
        tab.arrived()
    answers = {0: ("Sore throat", "J02.9"), 1: ("Right knee arthritis", "M17.11")}
    dice.shuffle(order)
    for which in order:
        tabs[which].page.bring_to_front()
        for view in dice.sample(["This patient’s bills", "My questions"], 1):
            tabs[which].turn(view.replace("’", "."))
        tabs[which].turn("This visit")
        expect(tabs[which].app.get_by_role("button", name=answers[which][0])).to_be_visible()
        text = tabs[which].app.locator("body").inner_text()
        assert patients[which].family in text
        assert patients[1 - which].family not in text
        tabs[which].app.get_by_role("button", name=answers[which][0]).click()
        expect(tabs[which].app.get_by_role("button", name=answers[which][0])).to_have_count(0)
    ward.beat()
    for which, patient in enumerate(patients):
        assert diagnosed(ward, patient) == [answers[which][1]]


def test_two_charts_in_frames_of_one_page_do_not_mix(context: BrowserContext, ward: Ward) -> None:
    patients = [ward.admit(family=f"Zztest{name}") for name in ("east", "west")]
    page = context.new_page()
    page.goto(ward.framing(*["about:blank" for _ in patients]))
    for which, patient in enumerate(patients):  # one after the other: the provider signs one in at a time
        page.eval_on_selector(
            f"iframe[name=app{which}]", "(frame, url) => { frame.src = url }", ward.launch_url(patient)
        )
        expect(page.frame_locator(f"iframe[name=app{which}]").locator("body")).to_contain_text(patient.family)
    for which, patient in enumerate(patients):
        body = page.frame_locator(f"iframe[name=app{which}]").locator("body")
        expect(body).to_contain_text(patient.family)
        assert patients[1 - which].family not in body.inner_text()


def test_a_session_that_has_ended_says_so_and_how_to_go_on(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    tab.arrived()
    with ward.wiring.store._engine.begin() as connection:
        import sqlalchemy as sa

        from fhir_billing.store import tables

        connection.execute(sa.delete(tables.vault))
    tab.app.get_by_role("link", name="My questions").click()
    expect(tab.app.locator("body")).to_contain_text(re.compile("again from the chart", re.IGNORECASE))
    assert patient.family not in tab.app.locator("body").inner_text()


def test_a_scope_that_is_denied_is_a_sentence_and_no_crash(tab: Tab, ward: Ward) -> None:
    url = ward.launch_url(ward.admit())
    began = tab.page.context.request.get(url, max_redirects=0)
    state = re.search(r"[?&]state=([^&]+)", began.headers["location"])
    assert state
    tab.page.goto(ward.framing(f"{ward.base}/launch/back?error=access_denied&state={state[1]}"))
    body = tab.app.locator("body")
    expect(body).to_contain_text(re.compile("again from the chart|allow|refused", re.IGNORECASE))


def test_a_launch_without_a_visit_asks_which_or_says_what_it_can(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient, encounter=None)
    tab.arrived()
    assert "Something broke" not in tab.app.locator("body").inner_text()
    tab.app.get_by_role("link", name=re.compile("bills")).click()
    expect(tab.app.get_by_role("heading", level=1)).to_be_visible()


def test_the_page_works_where_the_browser_refuses_cookies(tmp_path: Path, page: Page, ward: Ward) -> None:
    browser_type = page.context.browser.browser_type if page.context.browser else None
    assert browser_type
    (tmp_path / "Default").mkdir()
    refusing = {"profile": {"content_settings": {"exceptions": {"cookies": {"[*.]localhost,*": {"setting": 2}}}}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(refusing))
    context = browser_type.launch_persistent_context(
        tmp_path,
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox"] if os.geteuid() == 0 else [],
        viewport={"width": 800, "height": 900},
    )
    tab, patient = Tab(context.new_page(), ward), ward.admit()
    tab.open(patient)
    app = tab.arrived()
    app.get_by_role("button", name="Sore throat").click()
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)
    tab.turn("bills")
    kept = [cookie.get("name") for cookie in context.cookies() if cookie.get("domain") == "localhost"]
    context.close()
    assert kept == []
    ward.beat()
    assert diagnosed(ward, patient) == ["J02.9"]


def test_back_leads_to_the_page_before_and_forgets_nothing(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    app.get_by_role("button", name="Sore throat").click()
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)
    tab.turn("bills")
    tab.frame.evaluate("history.back()")
    expect(app.get_by_role("link", name="This visit")).to_have_attribute("aria-current", "page")
    expect(app.locator("body")).to_contain_text(patient.family)
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)


def test_the_whole_story_needs_no_mouse(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    expect(app.get_by_role("button", name="Sore throat")).to_be_visible()
    for _ in range(25):
        tab.page.keyboard.press("Tab")
        if "Sore throat" in (tab.frame.evaluate("document.activeElement?.innerText ?? ''")):
            break
    else:
        pytest.fail("the answer cannot be reached by Tab")
    outline = tab.frame.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2, "where the hand is can be seen"
    tab.page.keyboard.press("Enter")
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)
    ward.beat()
    assert diagnosed(ward, patient) == ["J02.9"]
    for _ in range(25):
        tab.page.keyboard.press("Tab")
        if "questions" in tab.frame.evaluate("document.activeElement?.closest('a')?.innerText ?? ''"):
            break
    tab.page.keyboard.press("Enter")
    expect(app.get_by_role("link", name=re.compile("My questions"))).to_have_attribute("aria-current", "page")


def test_a_digit_answers_the_question(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    expect(app.get_by_role("button", name="Sore throat")).to_be_visible()
    app.get_by_role("heading", level=1).click()
    number = app.get_by_role("button", name="Sore throat").locator("kbd").inner_text()
    tab.page.keyboard.press(number)
    expect(app.get_by_role("button", name="Sore throat")).to_have_count(0)
    ward.beat()
    assert diagnosed(ward, patient) == ["J02.9"]


def test_a_screen_reader_hears_a_name_for_everything(tab: Tab, ward: Ward) -> None:
    tab.open(ward.admit())
    app = tab.arrived()
    expect(app.get_by_role("heading", level=1)).to_be_visible()
    expect(app.get_by_role("navigation")).to_be_visible()
    expect(app.get_by_role("main")).to_be_visible()
    expect(app.get_by_role("link", name="This visit")).to_have_attribute("aria-current", "page")
    for name in ("Sore throat", "Right knee arthritis", "Something else", re.compile("I can.t say")):
        expect(app.get_by_role("button", name=name)).to_be_visible()
    nameless = tab.frame.evaluate(
        """() => [...document.querySelectorAll('a,button,input:not([type=hidden]),select,textarea,summary')]
          .filter(e => e.offsetParent && !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.title))
          .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_nothing_is_asked_of_another_origin_and_no_address_holds_a_secret(tab: Tab, ward: Ward) -> None:
    patient = ward.admit()
    tab.open(patient)
    app = tab.arrived()
    for name in (re.compile("bills"), "My questions", "This visit"):
        app.get_by_role("link", name=name).first.click()
        tab.page.wait_for_load_state("networkidle")
    ours = urlsplit(ward.base).netloc
    known = {ours, urlsplit(ward.page).netloc, urlsplit(ward.ehr["CI_EHR_AUTH"]).netloc}
    assert {urlsplit(url).netloc for url in tab.requests} <= known
    after = [url for url in tab.requests if urlsplit(url).netloc == ours and "/launch" not in url]
    assert after
    assert [url for url in after if re.search(rf"{patient.id}|{patient.family}|token=|code=", url)] == []


def test_a_visit_takes_less_than_150_kb_and_shows_itself_soon(
    context: BrowserContext, ward: Ward, record_property: Any
) -> None:
    patient = ward.admit()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    bodies: dict[str, int] = {}

    def weigh(response: Any) -> None:
        if urlsplit(response.url).netloc == urlsplit(ward.base).netloc and response.status == 200:
            raw = response.body()
            packed = len(raw) if response.url.endswith(".woff2") else len(gzip.compress(raw))
            bodies[response.url] = packed

    page.goto(ward.launch_url(patient))
    page.wait_for_url(VISIT)
    page.on("requestfinished", lambda request: weigh(request.response()) if "/live" not in request.url else None)
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.reload()
    page.wait_for_timeout(1000)
    paint = page.evaluate(
        "performance.getEntriesByType('paint').filter(p => p.name == 'first-contentful-paint').map(p => p.startTime)[0]"
    )
    whole = sum(bodies.values())
    print(
        f"\nthe visit weighs {whole / 1000:.1f} kB compressed in {len(bodies)} files; first paint {paint:.0f} ms, CPU at a quarter"
    )
    record_property("kilobytes", whole / 1000)
    assert any(url.endswith(".woff2") for url in bodies), "weighed as somebody sees it who was never here"
    assert whole <= 150_000, bodies


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_on_the_clinician_s_pages(chromium: Browser, ward: Ward, theme: str) -> None:
    from tests.e2e.clinician_views import VIEWS

    found = []
    context = chromium.new_context(viewport={"width": 800, "height": 900}, reduced_motion="reduce")
    context.add_cookies([{"name": "theme", "value": theme, "url": ward.base}])
    page = context.new_page()
    for name, show in VIEWS.items():
        show(page, ward)
        found += [f"{name}: {line}" for line in violations(page)]
    context.close()
    assert found == [], "\n".join(found)
