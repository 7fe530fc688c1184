"""The desk says what the EHR does, runs the check again while somebody looks, and never loses it when they leave."""

from __future__ import annotations

import csv
import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import SystemClock, Wiring
from smart_app.app import create_app
from smart_app.connection import Checker, Step
from smart_app.example import Example
from smart_app.example_connection import ExampleConnection
from smart_app.example_people import NOW
from smart_app.face import FaceSettings
from smart_app.mount import mount
from tests.contract.test_ehr import load as load_charts
from tests.e2e.axe import violations
from tests.e2e.opened import Form, shown_text
from tools.screenshots import served, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.conftest import Sekmet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wiring(sekmet: Sekmet, tmp_path: Path) -> Iterator[Wiring]:
    """A desk on an empty book, beside a real EHR with three closed visits."""
    client = connect(EhrSettings(url=sekmet.url))[0].client
    load_charts(client)
    for name in ("ada", "bo", "cy"):
        visit = client.read(f"Encounter/{name}-visit")
        client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    database = f"sqlite:///{tmp_path / 'book.db'}"
    migrate(database)
    settings = Settings(
        database=database, channels=tmp_path / "channels", site="demo", mappings=ROOT / "mappings", redis_url="", demo=True,
        session_secret="only-for-the-pages-of-this-test-0123456789", ehr_url=sekmet.url, ehr_scopes="system/*.cruds",
    )  # fmt: skip
    yield Wiring(settings=settings, clock=SystemClock())
    load_charts(client)


def the_desk(wiring: Wiring) -> FastAPI:
    app = FastAPI()
    mount(app, wiring, lambda: None)
    return app


def kept(wiring: Wiring) -> Conformance:
    """The run, once it is kept."""
    deadline = time.monotonic() + 30
    while (found := wiring.conformance) is None:
        assert time.monotonic() < deadline, "the check ends"
        time.sleep(0.05)
    return found


def test_the_check_runs_in_the_background_and_the_page_shows_what_it_found(wiring: Wiring) -> None:
    with TestClient(the_desk(wiring), base_url="http://localhost") as client:
        signing = Form(client.get("/sign-in").text).forms[0]
        client.post(signing[0], data=signing[1])
        page = client.get("/desk/ehr").text
        assert "never checked" in page
        fields = next(fields for action, fields, _ in Form(page).forms if action == "/desk/ehr/check")
        assert client.post("/desk/ehr/check", data={**fields, "write": "1"}).status_code == 200
        assert kept(wiring).works("write-task")
        text = shown_text(client.get("/desk/ehr").text)
        assert "Visits are found by" in text
        assert "A visit is read by" in text
        assert "The chart is told by" in text
        rows = list(csv.DictReader(io.StringIO(client.get("/desk/ehr.csv?group=reading&show=works").text)))
        assert {row["found"] for row in rows} == {"works"}
        assert {row["group"] for row in rows} == {"reading"}
        assert client.get("/desk/ehr/going").headers.get("hx-refresh") == "true", "nothing runs any more"
        assert "No row fits these filters" in client.get("/desk/ehr?group=nothing").text
    with wiring.store.begin() as book:
        assert book.next_message() is None, "a check decides nothing about a bill"


def test_a_check_needs_the_form_of_our_own_page(wiring: Wiring) -> None:
    with TestClient(the_desk(wiring), base_url="http://localhost") as client:
        assert client.post("/desk/ehr/check", data={"write": "1"}, follow_redirects=False).status_code in {303, 403}
        assert wiring.conformance is None


def a_row(number: int) -> Interaction:
    return Interaction(key=f"row-{number}", group="reading", what=f"Row {number}", found=Found.WORKS)


def test_one_check_runs_at_a_time_and_a_stopped_one_keeps_nothing() -> None:
    on = threading.Event()
    held: list[Conformance] = []

    def slow(writes: bool, step: Step) -> Conformance:
        for number in range(1, 100):
            on.wait(5)
            step(number, 99, a_row(number))
        raise AssertionError

    checker = Checker(slow, held.append)
    assert checker.begin(writes=False)
    assert not checker.begin(writes=False), "one at a time"
    checker.stop()
    on.set()
    deadline = time.monotonic() + 5
    while not ((going := checker.going()) and going.over):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "stopped" in going.failed
    assert held == []
    assert checker.begin(writes=True), "it can be begun again"
    checker.stop()


def test_in_a_browser_the_progress_comes_by_itself_and_keys_move_through_the_rows(
    chromium: Browser, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Wiring.check_ehr
    monkeypatch.setattr(Wiring, "check_ehr", lambda self, *, writes, step: real(self, writes=writes, step=slowly(step)))
    with served(the_desk(wiring)) as base:
        page = signed_in(chromium, base, width=1440, theme="light")
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.goto(f"{base}/visits")
        page.keyboard.press("g")
        page.keyboard.press("k")
        page.wait_for_url("**/desk/ehr")
        page.locator("summary", has_text="Check now").focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Check the EHR").click()
        expect(page.locator("#going")).to_contain_text(re.compile(r"\d+ of \d\d tried"))
        assert violations(page) == []
        expect(page.get_by_role("heading", name="What follows from it")).to_be_visible(timeout=20_000)
        assert page.locator("#going").count() == 0
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.closest('tr').id") == "smart-configuration"
        page.get_by_label("Show:").select_option("not")
        page.wait_for_url("**show=not*")
        assert set(page.locator("td[data-l=Tried]").all_inner_texts()) <= {"Partly", "Missing", "Ignored", "Forbidden"}  # fmt: skip
        assert complaints == []
        page.context.close()


def slowly(step: Step) -> Step:
    def wait(done: int, total: int, row: Interaction) -> None:
        time.sleep(0.08)
        step(done, total, row)

    return wait


def again(wiring: Wiring, page: TestClient, write: str) -> Conformance:
    """Check once more, as the page asks for it."""
    before = wiring.conformance
    fields = next(fields for action, fields, _ in Form(page.get("/desk/ehr").text).forms if action == "/desk/ehr/check")
    page.post("/desk/ehr/check", data={**fields, "write": write})
    deadline = time.monotonic() + 30
    while (found := wiring.conformance) == before or found is None:
        assert time.monotonic() < deadline, "the check ends"
        time.sleep(0.05)
    return found


def test_a_check_that_only_reads_keeps_what_probes_found_and_says_when(wiring: Wiring) -> None:
    preset = re.compile(r'<option value="1" selected>')
    with TestClient(the_desk(wiring), base_url="http://localhost") as client:
        signing = Form(client.get("/sign-in").text).forms[0]
        client.post(signing[0], data=signing[1])
        first = again(wiring, client, "1")
        assert preset.search(client.get("/desk/ehr").text), "as the last check was"
        second = again(wiring, client, "")
        page = client.get("/desk/ehr").text
        assert not preset.search(page)
        assert "was not tried this time" in shown_text(page)
        assert second.works("write-task")
        assert second.facts["kept-at"] == first.at.isoformat()


def test_a_form_in_the_head_opens_beneath_and_moves_nothing(chromium: Browser) -> None:
    example = Example()
    settings = FaceSettings(organization="Example Clinic", demo=True, now=lambda: NOW, connection=ExampleConnection())
    with served(create_app(example, example, settings)) as base:
        for width in (1440, 800):
            page = signed_in(chromium, base, width=width, theme="light")
            page.goto(f"{base}/desk/ehr")
            button, head = page.locator("summary", has_text="Check again"), page.locator("header.head")
            before = (button.bounding_box(), head.bounding_box())
            button.click()
            assert (button.bounding_box(), head.bounding_box()) == before
            form = page.locator("details.act form").bounding_box()
            assert form is not None and form["x"] >= 0 and form["x"] + form["width"] <= width
            said = head.locator(".sub").bounding_box()
            assert said is not None and form["y"] >= said["y"] + said["height"], "no word of the head is covered"
            page.context.close()


def test_a_desk_is_called_as_its_tenant_is(wiring: Wiring) -> None:
    wiring.settings.title = "North Hospital"
    with TestClient(the_desk(wiring), base_url="http://localhost") as client:
        sign_in = client.get("/sign-in").text
        assert "<title>Sign in · North Hospital</title>" in sign_in
        signing = Form(sign_in).forms[0]
        assert client.post(signing[0], data=signing[1]).text.count("North Hospital") >= 3, "title, sidebar and print"
