"""What a browser itself must refuse: a stranger's frame, a stranger's form, and script that stands in a chart.

Headers and escaped text are looked at elsewhere; here Chromium reads them, with a session open in the EHR's frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import expect

from tests.e2e.bedside import chart_page, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.bedside import Patient, Ward

HOSTILE = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=2">',
    "<svg onload=window.pwned=3>",
    "</textarea></title><iframe srcdoc='<script>parent.pwned=4</script>'>",
    "{{7*191}} ${7*191} {% raw %}",
    "javascript:window.pwned=5//",
    "' onfocus=window.pwned=6 autofocus x='",
    "<a hx-get=/ hx-trigger=load hx-on:load=window.pwned=7>",
)
PWNED = "typeof window.pwned"


@pytest.fixture
def said(page: Page) -> list[str]:
    """What the browser complains of: a blocked script is one that came through as markup."""
    lines: list[str] = []
    page.on("console", lambda one: lines.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: lines.append(str(error)))

    def opened(dialog: Any) -> None:
        lines.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", opened)
    return lines


@pytest.fixture(scope="module")
def known(ward: Ward) -> Patient:
    """One patient is enough for what is only reflected."""
    return ward.admit()


def launched(page: Page, ward: Ward, patient: Patient) -> str:
    """The chart stands in the EHR's frame; the address that its pages begin with."""
    page.goto(ward.framing(ward.launch_url(patient)))
    expect(page.frame_locator("iframe[name=app0]").get_by_role("link", name="This visit")).to_be_visible()
    frame = page.frame(name="app0")
    assert frame
    return frame.url.rpartition("/")[0]


def test_a_page_that_is_not_the_ehr_s_cannot_frame_a_chart(page: Page, ward: Ward) -> None:
    base = launched(page, ward, ward.admit(family="Zztestframed"))
    port = free_port()
    with chart_page(port):
        page.goto(f"http://127.0.0.1:{port}/chart?{urlencode({'src': f'{base}/visit', 'sandbox': 'none'})}")
        page.wait_for_load_state("networkidle")
        frame = page.frame(name="app0")
        assert frame
        assert frame.url.startswith("chrome-error:")
        assert "Zztestframed" not in frame.content()


def test_not_even_the_ehr_frames_the_desk(page: Page, ward: Ward) -> None:
    for path in ("/sign-in", "/", "/worklists/held", "/metrics"):
        page.goto(ward.framing(f"{ward.base}{path}", sandbox="none"))
        page.wait_for_load_state("networkidle")
        frame = page.frame(name="app0")
        assert frame
        assert frame.url.startswith("chrome-error:"), path


def _changed(own: list[dict[str, Any]]) -> None:
    """Each text that a person in the EHR may type is hostile."""
    texts = iter(HOSTILE * 10)
    for resource in own:
        kind = resource["resourceType"]
        if kind == "Patient":
            resource["name"][0].update(given=[next(texts)], prefix=[next(texts)])
            resource["address"][0]["line"] = [next(texts)]
        if kind == "Condition":
            resource["code"]["text"] = next(texts)
            resource["code"]["coding"][0]["display"] = next(texts)
            resource["note"] = [{"text": next(texts)}]
        if kind == "ChargeItem":
            resource["code"].update(text=next(texts))
            resource["note"] = [{"text": next(texts)}]
        if kind == "Coverage":
            resource["type"] = {"text": next(texts)}
        if kind == "Encounter":
            resource["reasonCode"] = [{"text": next(texts)}]
            resource["type"] = [{"text": next(texts)}]


def test_script_that_stands_in_a_chart_never_runs(page: Page, ward: Ward, said: list[str]) -> None:
    patient = ward.admit(
        family="Zztest<script>window.pwned=8</script>",
        problems=tuple((code, HOSTILE[n]) for n, code in enumerate(("J02.9", "M17.11", "I10", "E11.9"))),
        change=_changed,
    )
    base = launched(page, ward, patient)
    frame = page.frame(name="app0")
    assert frame
    text = frame.locator("body").inner_text()
    assert "<script>window.pwned" in text, "it is there, as text"
    page.frame_locator("iframe[name=app0]").locator("button[name=choice]").first.click()
    expect(page.frame_locator("iframe[name=app0]").get_by_text("Change").first).to_be_visible()
    for view in ("visit", "bills", "questions", "codes", "level"):
        frame.goto(f"{base}/{view}")
        page.wait_for_timeout(150)
        assert frame.evaluate(PWNED) == "undefined", view
        assert frame.locator("iframe, script:not([src])").count() == 0, view
        assert "1337" not in frame.locator("body").inner_text(), view
    assert page.evaluate(PWNED) == "undefined"
    assert said == []


@pytest.mark.parametrize("text", HOSTILE)
def test_script_that_stands_in_an_address_never_runs(
    page: Page, ward: Ward, known: Patient, said: list[str], text: str
) -> None:
    base = launched(page, ward, known)
    frame = page.frame(name="app0")
    assert frame
    for path in (
        f"/codes?q={quote(text)}",
        f"/visit?done={quote(text)}",
        f"/codes?kind={quote(text)}&question={quote(text)}",
    ):
        frame.goto(f"{base}{path}")
        page.wait_for_timeout(100)
        assert frame.evaluate(PWNED) == "undefined", path
        assert frame.locator("iframe, script:not([src])").count() == 0, path
    page.goto(f"{ward.base}/launch/back?{urlencode({'error': text, 'error_description': text, 'state': text})}")
    assert page.evaluate(PWNED) == "undefined"
    assert [line for line in said if "status of 4" not in line] == []


@pytest.fixture
def evil() -> Iterator[tuple[str, list[str]]]:
    """A page of the same site as the EHR's, whose own frame therefore has our cookies; it posts a form from there by itself."""
    target: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fields = {"csrf": "guess", "key": "evil", "question": target[1], "choice": "cant-say", "kind": "diagnosis"}
            inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
            body = f'<iframe name=x></iframe><form method=post target=x action="{target[0]}/answer">{inputs}</form><script>document.forms[0].submit()</script>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", target
    server.shutdown()
    server.server_close()


def test_a_form_on_another_page_answers_nothing(page: Page, ward: Ward, evil: tuple[str, list[str]]) -> None:
    address, target = evil
    patient = ward.admit()
    base = launched(page, ward, patient)
    frame = page.frame(name="app0")
    assert frame
    target += [base, frame.locator("input[name=question]").first.input_value()]
    second = page.context.new_page()
    with second.expect_response(re.compile("/answer$")) as posted:
        second.goto(address)
    assert f"v-{base.rpartition('/')[2]}=" in posted.value.request.all_headers().get("cookie", ""), (
        "the cookie came along"
    )
    assert posted.value.status == 403
    assert ward.wiring.views.answers(patient.encounter) == []
    assert "Zztest" not in second.content()


def test_no_referer_says_where_a_chart_is_open(page: Page, ward: Ward) -> None:
    told: list[str] = []
    page.on("requestfinished", lambda request: told.append(request.all_headers().get("referer", "")))
    base = launched(page, ward, ward.admit())
    frame = page.frame(name="app0")
    assert frame
    for view in ("bills", "questions", "codes", "visit"):
        frame.goto(f"{base}/{view}")
    assert len(told) > 10
    assert [one for one in told if re.search(r"/v/|launch=|code=|state=|token", one)] == []
