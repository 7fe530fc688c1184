"""One session opens one chart for one browser: not by guessing, planting, copying or forging, and never another patient's."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.attacks.conftest import Between, Visitor

VIEWS = ("visit", "bills", "questions")


def csrf_of(visitor: Visitor, handle: str) -> str:
    """What this session's own forms carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', visitor.get(f"/v/{handle}/visit").text)
    assert found
    return found[1]


def refused(answer: Any) -> bool:
    """A page that says no, without a chart on it."""
    return 400 <= answer.status_code < 500 and "Zztest" not in answer.text


def test_a_handle_alone_opens_nothing(between: Between) -> None:
    handle = between.visitor().launch(between.honest)
    stranger = between.visitor()
    for view in VIEWS:
        assert refused(stranger.get(f"/v/{handle}/{view}")), view
    assert refused(stranger.get(f"/v/{handle}/live"))
    assert refused(stranger.post(f"/v/{handle}/answer", data={"csrf": "x"}))


def test_a_session_opens_its_own_handle_and_no_other(between: Between) -> None:
    ada, bo = between.visitor(), between.visitor()
    mine, theirs = ada.launch(between.honest), bo.launch(between.mallory)
    token = ada.cookies[f"v-{mine}"]
    crossed = between.visitor()
    for view in VIEWS:
        crossed.cookies = {f"v-{theirs}": token}
        assert refused(crossed.get(f"/v/{theirs}/{view}")), view
        crossed.cookies = {}
        assert refused(crossed.get(f"/v/{theirs}/{view}", headers={"x-visit-token": token})), view
    assert "Zztest" in ada.get(f"/v/{mine}/visit").text


def test_a_planted_cookie_never_becomes_a_session(between: Between) -> None:
    planted = "planted-by-somebody-who-waits"
    visitor = between.visitor()
    visitor.cookies = {"v-known": planted, "desk": planted, "v-": planted}
    handle = visitor.launch(between.honest)
    assert visitor.cookies[f"v-{handle}"] != planted
    thief = between.visitor()
    for name in (handle, "known", ""):
        thief.cookies = {f"v-{name}": planted}
        assert thief.get(f"/v/{name}/visit").status_code >= 400


def test_each_launch_has_a_handle_and_a_token_of_its_own(between: Between) -> None:
    visitor = between.visitor()
    first = visitor.launch(between.honest)
    second = visitor.launch(between.honest)
    assert first != second
    assert visitor.cookies[f"v-{first}"] != visitor.cookies[f"v-{second}"]
    assert "pat" not in first
    assert "ada" not in first


def test_the_cookie_is_for_this_page_alone_and_no_script_reads_it(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    (said,) = [line for line in visitor.set_cookies if line.startswith(f"v-{handle}=")]
    parts = {part.strip().lower() for part in said.split(";")[1:]}
    assert {"httponly", "secure", "samesite=none", "partitioned", f"path=/v/{handle.lower()}"} <= parts


def test_a_form_without_this_session_s_own_mark_changes_nothing(between: Between) -> None:
    visitor = between.visitor()
    handle, other = visitor.launch(between.honest), visitor.launch(between.honest)
    for mark in ({}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": csrf_of(visitor, other)}):
        answer = visitor.post(
            f"/v/{handle}/answer",
            data={**mark, "question": "x", "choice": "cant-say", "key": "k", "encounter": "Encounter/ada-visit"},
        )
        assert refused(answer), mark
    assert between.wiring.views.answers("Encounter/ada-visit") == []


def test_an_answer_is_about_the_chart_that_is_open_and_no_other(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    mark = csrf_of(visitor, handle)
    visitor.post(
        f"/v/{handle}/answer",
        data={
            "csrf": mark,
            "key": "one",
            "question": "diagnosis:Encounter/bo-visit",
            "encounter": "Encounter/bo-visit",
            "choice": "cant-say",
        },
    )
    assert between.wiring.views.answers("Encounter/bo-visit") == []


def test_another_patient_s_visit_is_not_shown_whatever_id_is_asked_for(between: Between) -> None:
    from tests.e2e import charts

    for resource in charts.bundle("bo.json"):
        between.honest.chart[f"{resource['resourceType']}/{resource['id']}"] = resource
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    for query in ("encounter=bo-visit", "encounter=Encounter/bo-visit", "patient=bo", "visit=bo-visit", "id=bo-visit"):
        for view in VIEWS:
            text = visitor.get(f"/v/{handle}/{view}?{query}").text
            assert "Bo Zztest" not in text, (view, query)
            assert "Zztest, Bo" not in text, (view, query)


def test_an_ehr_that_names_another_patient_s_visit_shows_nothing_of_it(between: Between) -> None:
    from tests.e2e import charts

    for resource in charts.bundle("bo.json"):
        between.honest.chart[f"{resource['resourceType']}/{resource['id']}"] = resource
    between.honest.context["encounter"] = "bo-visit"
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    answer = visitor.get(f"/v/{handle}/visit")
    assert answer.status_code < 500
    assert "36415" not in answer.text, "a charge of the other visit"


def test_a_session_that_was_signed_out_is_over_for_its_copies_too(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    copy = between.visitor()
    copy.cookies = dict(visitor.cookies)
    visitor.post(f"/v/{handle}/end", data={"csrf": csrf_of(visitor, handle)})
    assert refused(visitor.get(f"/v/{handle}/visit"))
    assert refused(copy.get(f"/v/{handle}/visit"))


def test_no_token_stands_in_an_address_a_page_or_a_log(
    between: Between, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    pages = "".join(visitor.get(f"/v/{handle}/{view}").text for view in VIEWS)
    visitor.get(f"/v/{handle}/nothing-here")
    own = visitor.cookies[f"v-{handle}"]
    tokens = [word for word in between.honest.given if word.startswith(("access-", "refresh-", "eyJ"))]
    printed = capfd.readouterr()
    ours = [
        r.getMessage() for r in caplog.records if not r.name.startswith(("httpx2", "httpcore2"))
    ]  # not the browser's
    written = "\n".join([*ours, printed.out, printed.err])
    assert tokens
    for secret in [*tokens, own]:
        assert secret not in " ".join(visitor.addresses)
        assert secret not in pages
        assert secret not in written
    assert "Zztest" not in written


def test_no_address_names_a_patient_a_visit_or_a_person(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    text = "".join(visitor.get(f"/v/{handle}/{view}").text for view in VIEWS)
    links = re.findall(r'(?:href|action|src|hx-[a-z:-]+)="([^"]*)"', text)
    assert links
    assert [link for link in links if re.search(r"ada|zztest|ex100001|dr-example", link, re.IGNORECASE)] == []


def test_what_a_page_of_the_chart_may_do_is_said_in_its_headers(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    for view in VIEWS:
        said = visitor.get(f"/v/{handle}/{view}").headers
        assert said["cache-control"] == "no-store", view
        assert said["referrer-policy"] == "no-referrer", view
        assert said["x-content-type-options"] == "nosniff", view
        policy = said["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors" in policy


def test_a_session_at_rest_shows_neither_its_tokens_nor_its_patient(between: Between) -> None:
    import sqlalchemy as sa

    from fhir_billing.store import tables

    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    with between.wiring.store._engine.connect() as connection:
        rows = [f"{row!r}" for row in connection.execute(sa.select(tables.vault))]
    assert rows
    own = visitor.cookies[f"v-{handle}"]
    for word in [*between.honest.given, own, "ada-visit", "Patient/ada", "Example-Attack", handle]:
        assert not any(word in row for row in rows), word


def test_every_reading_and_every_answer_says_who_what_and_why(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    for view in VIEWS:
        visitor.get(f"/v/{handle}/{view}")
    lines = between.audited()
    by_her = [line for line in lines if "Practitioner/dr-example" in line.who]
    assert len(by_her) >= len(VIEWS), lines
    assert any("chart" in line.what and line.about == "Encounter/ada-visit" for line in by_her)
    assert all(line.what and line.about for line in by_her)
