"""The clinician's pages on a real book: what is asked and how, what one answer does, and what a hostile chart cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.domain.errors import EhrUnavailable
from fhir_billing.domain.lifecycle import State
from smart_app.clinician import live
from tests.e2e.opened import Chart, Room, answer_form, problem, room, shown_text

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>"
MONEY = re.compile(r"\$\s?\d|\b\d+\.\d\d\b")


def undiagnosed(chart: Chart) -> None:
    """The visit names no diagnosis; the problem list has some."""
    chart.without("Condition")
    patient = f"Patient/{chart.patient['id']}"
    chart.problems = [
        problem(patient, "p1", "J02.9", "Sore throat"),
        problem(patient, "p2", "M17.11", "Right knee arthritis", "2019-05-01"),
    ]


@pytest.fixture
def open_chart(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path, change=undiagnosed) as made:
        yield made


@pytest.fixture
def priced(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path, change=undiagnosed, see_charges=True) as made:
        yield made


def cards(html: str) -> list[str]:
    """The question cards of a page, as markup."""
    return re.findall(r"<article class=\"ask\".*?</article>", html, re.DOTALL)


def say(made: Room, base: str, **more: str) -> Any:
    """Answer the first question of the visit's page as a form without script does."""
    form = answer_form(made.client.get(f"{base}/visit").text) | more
    return made.client.post(f"{base}/answer", data=form)


# ---- what is asked


def test_an_open_visit_is_drafted_live_and_says_what_is_missing(open_chart: Room) -> None:
    page = open_chart.client.get(f"{open_chart.open()}/visit")
    text = shown_text(page.text)
    assert page.status_code == 200
    assert "One answer left, then this visit can be billed" in text
    assert "Why was the patient seen?" in text
    assert "J02.9 · problem list, since March 2026" in text
    assert "needs a reason" in text


def test_answers_weigh_the_same_and_none_is_chosen_beforehand(open_chart: Room) -> None:
    (card,) = cards(open_chart.client.get(f"{open_chart.open()}/visit").text)
    buttons = re.findall(r"<button class=\"([^\"]+)\"", card)
    assert buttons == ["answer"] * 4
    assert "checked" not in card
    assert "selected" not in card
    assert "autofocus" not in card
    assert re.findall(r"data-digit=\"(\d)\"", card) == ["1", "2", "3", "4"]
    assert "Something else" in card
    assert "I can’t say" in card


def test_no_money_stands_beside_a_question(priced: Room) -> None:
    page = priced.client.get(f"{priced.open()}/visit").text
    (card,) = cards(page)
    assert not MONEY.search(shown_text(card))
    assert "125.00" in page.split("</article>")[-1], "where the site shows charges, they stand below"
    assert page.index("</article>") < page.index("125.00")


def test_a_site_that_does_not_show_charges_shows_none_anywhere(open_chart: Room) -> None:
    base = open_chart.open()
    for path in ("visit", "bills", "questions"):
        assert not MONEY.search(shown_text(open_chart.client.get(f"{base}/{path}").text)), path
    open_chart.finish()
    for path in ("visit", "bills", "questions"):
        assert not MONEY.search(shown_text(open_chart.client.get(f"{base}/{path}").text)), path


def test_the_patient_is_named_only_where_the_ehr_wants_a_banner(open_chart: Room) -> None:
    assert "Ada Zztest, 4" in shown_text(open_chart.client.get(f"{open_chart.open(banner=True)}/visit").text)
    for path in ("visit", "bills", "questions"):
        assert "Zztest" not in open_chart.client.get(f"{open_chart.open(banner=False)}/{path}").text


def test_no_address_on_a_page_holds_an_id_of_the_chart(open_chart: Room) -> None:
    base = open_chart.open()
    open_chart.finish()
    for path in ("visit", "bills", "questions"):
        page = open_chart.client.get(f"{base}/{path}").text
        for address in re.findall(r"(?:href|action|formaction|data-live|src)=\"([^\"]+)\"", page):
            assert "ada" not in address.lower(), address
    moved = say(open_chart, base, choice="J02.9").headers["location"]
    assert "ada" not in moved.lower()


# ---- what one answer does


def test_one_answer_without_script_leads_back_to_the_page_with_what_became_of_it(open_chart: Room) -> None:
    base = open_chart.open()
    answer = say(open_chart, base, choice="J02.9")
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("#said")
    page = open_chart.client.get(answer.headers["location"]).text
    assert 'id="said"' in page
    assert "Saved: Sore throat. 0 questions left." in page
    assert not cards(page)
    assert "for Sore throat" in shown_text(page), "the bill has the reason at once"
    assert "You answered just now; it is on its way to the chart." in shown_text(page)


def test_an_answer_given_while_the_visit_was_open_is_in_the_claim_when_it_closes(open_chart: Room) -> None:
    say(open_chart, open_chart.open(), choice="J02.9")
    open_chart.finish()
    (claim,) = open_chart.wiring.views.claims()
    assert claim.state is State.READY


def test_an_answer_to_a_held_claim_frees_it_in_the_same_turn(open_chart: Room) -> None:
    open_chart.finish()
    (claim,) = open_chart.wiring.views.claims()
    assert claim.state is State.HELD
    base = open_chart.open()
    say(open_chart, base, choice="J02.9")
    (claim,) = open_chart.wiring.views.claims()
    assert claim.state is State.READY
    assert "Needs you" not in re.findall(r"aria-current=\"step\">([^<]+)", open_chart.client.get(f"{base}/visit").text)


def test_a_second_window_hears_that_the_question_was_answered(open_chart: Room) -> None:
    first, second = open_chart.open(), open_chart.open()
    say(open_chart, first, choice="J02.9")
    late = say(open_chart, second, choice="cant-say")
    assert late.status_code == 422
    assert "This was answered already" in shown_text(late.text)


@pytest.mark.parametrize("page", ["visit", "questions"])
def test_what_changes_while_a_page_is_made_is_news_to_it(
    open_chart: Room, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_chart.finish()
    (claim,) = open_chart.wiring.views.claims()
    views, face = type(open_chart.wiring.views), open_chart.app.state.face
    read: Any = views.asked
    asked: list[str] = []

    def reads_then_somebody_asks(self: Any, **which: str) -> Any:
        found = read(self, **which)
        if not asked:
            asked.append(claim.number)
            facts = {"claim": claim.number, "ask": "Which knee?", "choices": ["Right", "Left"], "asked_of": ""}
            face.acts.act("ask", facts, "Bea Biller", "key-1")
        return found

    base = open_chart.open()
    monkeypatch.setattr(views, "asked", reads_then_somebody_asks)
    found = re.search(r'data-stamp="(\w+)"', open_chart.client.get(f"{base}/{page}").text)
    again = re.search(r'data-stamp="(\w+)"', open_chart.client.get(f"{base}/{page}").text)
    assert asked
    assert found
    assert again
    assert found[1] != again[1], "its stream says that there is news"


def test_words_are_never_said_to_be_in_the_chart(open_chart: Room) -> None:
    base = open_chart.open()
    say(open_chart, base, choice="something-else", text="a cold that would not end")
    assert "You answered just now; billing takes it from here." in shown_text(
        open_chart.client.get(f"{base}/visit").text
    )


def test_an_answer_can_be_changed_until_the_bill_has_left(open_chart: Room) -> None:
    base = open_chart.open()
    say(open_chart, base, choice="J02.9")
    page = open_chart.client.get(f"{base}/visit").text
    assert "Change" in page
    back = open_chart.client.post(f"{base}/answer", data=answer_form(page))
    assert back.status_code == 303
    assert len(cards(open_chart.client.get(f"{base}/visit").text)) == 1
    say(open_chart, base, choice="M17.11")
    assert "for Right knee arthritis" in shown_text(open_chart.client.get(f"{base}/visit").text)


def test_the_same_form_twice_answers_once(open_chart: Room) -> None:
    base = open_chart.open()
    form = answer_form(open_chart.client.get(f"{base}/visit").text) | {"choice": "J02.9"}
    open_chart.client.post(f"{base}/answer", data=form)
    open_chart.client.post(f"{base}/answer", data=form)
    assert open_chart.audited().count("Amara Example-Osei <Practitioner/example-osei>: answer") == 1


def test_words_and_codes_of_an_answer_come_from_the_question_and_not_from_the_form(open_chart: Room) -> None:
    base = open_chart.open()
    say(
        open_chart,
        base,
        choice="J02.9",
        code="Z99.9",
        label="Something forged",
        system="urn:x",
        resource="Patient/other",
    )
    page = shown_text(open_chart.client.get(f"{base}/visit").text)
    assert "Sore throat J02.9" in page
    assert "forged" not in page
    assert "Z99" not in page


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"choice": "no-such"}, "not one of the answers"),
        ({"choice": "something-else"}, "Nothing is written yet"),
        ({"choice": "something-else", "code": "not a code"}, "not a code"),
        ({"choice": "something-else", "text": "x" * 500}, "longer than"),
        ({"choice": ""}, "no answer to take back"),
    ],
)
def test_what_cannot_be_an_answer_is_told_at_its_question_and_keeps_what_was_typed(
    open_chart: Room, form: dict[str, str], says: str
) -> None:
    base = open_chart.open()
    answer = say(open_chart, base, **form)
    assert answer.status_code == 422
    (card,) = cards(answer.text)
    assert says in card
    assert 'role="alert"' in card
    assert len(cards(open_chart.client.get(f"{base}/visit").text)) == 1


def test_a_form_of_another_session_changes_nothing(open_chart: Room) -> None:
    base = open_chart.open()
    assert say(open_chart, base, choice="J02.9", csrf="another").status_code == 403
    assert len(cards(open_chart.client.get(f"{base}/visit").text)) == 1


def test_something_else_with_a_code_from_the_finder_is_an_answer(open_chart: Room) -> None:
    base = open_chart.open()
    answer = say(open_chart, base, choice="something-else", code="I10", label="What only a changed form says")
    assert answer.status_code == 303
    text = shown_text(open_chart.client.get(f"{base}/visit").text)
    assert "I10" in text
    assert "What only a changed form says" not in text


def test_i_cannot_say_is_an_answer_too_and_goes_to_billing(open_chart: Room) -> None:
    base = open_chart.open()
    assert say(open_chart, base, choice="cant-say").status_code == 303
    page = shown_text(open_chart.client.get(f"{base}/visit").text)
    assert "I can’t say" in page
    assert "billing takes it from here" in page


def test_every_look_and_every_answer_is_in_the_audit_trail_with_who(open_chart: Room) -> None:
    base = open_chart.open()
    say(open_chart, base, choice="J02.9")
    for path in ("bills", "questions"):
        open_chart.client.get(f"{base}/{path}")
    who = "Amara Example-Osei <Practitioner/example-osei>"
    for what in ("read the chart", "read this visit", "answered a question", "read this patient's bills"):
        assert f"{who}: {what}" in open_chart.audited()


# ---- what the chart does to us


def test_text_of_a_hostile_chart_is_only_text(tmp_path: Path) -> None:
    def hostile(chart: Chart) -> None:
        undiagnosed(chart)
        chart.patient["name"] = [{"family": HOSTILE, "given": [HOSTILE]}]
        for one in chart.problems:
            one["code"]["text"] = HOSTILE
            one["id"] = "p1"
        for one in chart.resources:
            if one["resourceType"] in {"ChargeItem", "Organization", "Coverage"}:
                one["name"] = HOSTILE
                one.setdefault("code", {})["text"] = HOSTILE

    with room(tmp_path, change=hostile, see_charges=True) as made:
        base = made.open(who=HOSTILE)
        pages = [made.client.get(f"{base}/visit").text]
        say(made, base, choice="J02.9")
        say(made, base, choice="something-else", text=HOSTILE)
        made.finish()
        pages += [
            made.client.get(f"{base}/{path}").text for path in ("visit", "bills", "questions", "visit?done=<script>")
        ]
        made.client.get("/sign-in")
    for page in pages:
        assert "<script>" not in page
        assert "onerror=alert" not in re.sub(r"&[^;]+;", "", "".join(re.findall(r"<img[^>]*>", page)))
        assert "<img src=x" not in page
    assert any("&lt;script&gt;" in page for page in pages), "it is there, as text"


def test_a_page_has_no_inline_script_or_style_and_asks_only_its_own_origin(open_chart: Room) -> None:
    base = open_chart.open()
    for path in ("visit", "bills", "questions"):
        answer = open_chart.client.get(f"{base}/{path}")
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
        assert not re.search(r"\sstyle=|\son\w+=", answer.text)
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_narrow_scopes_become_one_clear_sentence_and_no_crash(open_chart: Room) -> None:
    open_chart.chart.refused = {"ChargeItem"}
    page = open_chart.client.get(f"{open_chart.open(scopes='launch patient/Patient.rs')}/visit")
    assert page.status_code == 200
    assert "The EHR does not allow this page to read all that a bill needs" in page.text


def test_a_problem_list_that_may_not_be_read_only_leaves_fewer_answers(open_chart: Room) -> None:
    open_chart.chart.refused = {"Condition"}
    page = open_chart.client.get(f"{open_chart.open()}/visit")
    (card,) = cards(page.text)
    assert "Sore throat" not in card
    assert "Something else" in card


def test_an_ehr_that_does_not_answer_is_said_and_nothing_is_lost(open_chart: Room) -> None:
    open_chart.chart.broken = EhrUnavailable("the EHR does not answer")
    page = open_chart.client.get(f"{open_chart.open()}/visit")
    assert page.status_code == 200
    assert "does not answer just now" in page.text


def test_the_chart_is_read_once_a_minute_and_again_when_asked(open_chart: Room) -> None:
    base = open_chart.open()
    for _ in range(3):
        open_chart.client.get(f"{base}/visit")
    assert open_chart.chart.asked.count("gather") == 1
    open_chart.client.get(f"{base}/visit?again=1")
    assert open_chart.chart.asked.count("gather") == 2


def test_an_ehr_that_opened_no_visit_offers_the_patients_visits_by_number(open_chart: Room) -> None:
    base = open_chart.open(encounter="")
    page = open_chart.client.get(f"{base}/visit")
    assert "Which visit?" in page.text
    assert "ada" not in page.text.replace("Ada", "").lower().replace("canada", "")
    fields = answer_form(page.text.replace("/choose", "/answer"))
    chosen = open_chart.client.post(f"{base}/choose", data=fields | {"visit": "1"})
    assert chosen.status_code == 303
    assert "Why was the patient seen?" in open_chart.client.get(f"{base}/visit").text


@pytest.mark.parametrize("number", ["0", "99", "-1", "Encounter/other", ""])
def test_a_number_that_was_not_offered_chooses_nothing(open_chart: Room, number: str) -> None:
    base = open_chart.open(encounter="")
    fields = answer_form(open_chart.client.get(f"{base}/visit").text.replace("/choose", "/answer"))
    open_chart.client.post(f"{base}/choose", data=fields | {"visit": number})
    assert "Which visit?" in open_chart.client.get(f"{base}/visit").text


def test_an_ehr_that_opened_no_visit_and_shows_none_leads_to_the_bills(open_chart: Room) -> None:
    base = open_chart.open(encounter="", scopes="launch patient/Patient.rs")
    page = open_chart.client.get(f"{base}/visit")
    assert page.status_code == 200
    assert "No visit is open" in page.text
    assert f'href="{base}/bills"' in page.text


def test_a_finished_visit_that_the_book_has_not_read_rings_by_itself(open_chart: Room) -> None:
    open_chart.chart.visit["status"] = "finished"
    base = open_chart.open()
    open_chart.client.get(f"{base}/visit")
    open_chart.client.get(f"{base}/visit")
    bells = open_chart.wiring.store.doorbells(open_chart.wiring.clock.now())
    assert 1 <= len(bells) <= 2
    assert b'"found_by":"launch"' in bells[0].body.replace(b" ", b"")


# ---- bills, questions, the desk


def ask(made: Room, text: str = "Which side was treated?", **more: Any) -> str:
    (claim,) = made.wiring.views.claims()
    facts = {"claim": claim.number, "ask": text, "choices": ["Right", "Left"], "asked_of": "", **more}
    made.app.state.face.acts.act("ask", facts, "Bea Biller", f"key-{text[:4]}")
    return claim.number


def test_bills_say_five_words_and_what_the_patient_was_told(open_chart: Room) -> None:
    open_chart.finish()
    text = shown_text(open_chart.client.get(f"{open_chart.open()}/bills").text)
    assert "Needs you" in text
    assert "Nothing yet: the plan has not decided." in text


def test_what_billing_asked_is_answered_in_place_and_the_desk_sees_it(open_chart: Room) -> None:
    open_chart.finish()
    number = ask(open_chart)
    base = open_chart.open()
    page = open_chart.client.get(f"{base}/questions").text
    assert "Which side was treated?" in page
    assert "Bea Biller asked" in shown_text(page)
    answer = open_chart.client.post(f"{base}/answer", data=answer_form(page) | {"choice": "choice-1"})
    assert answer.headers["location"].startswith(f"{base}/questions?done=")
    assert not cards(open_chart.client.get(f"{base}/questions").text)
    go_on = open_chart.client.get("/sign-in").text
    token = re.search(r"name=\"csrf\" value=\"([^\"]+)\"", go_on)
    assert token
    open_chart.client.post("/sign-in/demo", data={"csrf": token[1]})
    claim = open_chart.client.get(f"/claims/{number}")
    assert claim.status_code == 200, claim.headers
    assert "Which side was treated?" in claim.text
    assert "<b>Right" in claim.text
    assert f'data-live="/live/claims/{number}"' in claim.text


def test_what_a_person_asked_holds_no_bill(open_chart: Room) -> None:
    open_chart.finish()
    ask(open_chart)
    base = open_chart.open()
    assert "One answer left, then this visit can be billed" in open_chart.client.get(f"{base}/visit").text
    held = next(
        f
        for f in range(2)
        if answer_form(open_chart.client.get(f"{base}/visit").text, f)["question"].startswith("diagnosis")
    )
    form = answer_form(open_chart.client.get(f"{base}/visit").text, held) | {"choice": "J02.9"}
    open_chart.client.post(f"{base}/answer", data=form)
    page = shown_text(open_chart.client.get(f"{base}/visit").text)
    assert "The bill is being prepared" in page
    assert "Which side was treated?" in page
    assert "Whoever asked sees your answer at once." in page


def test_a_biller_asks_from_the_claims_own_page(open_chart: Room) -> None:
    from smart_app.desk.acts import acts_for, facts_of

    open_chart.finish()
    (row,) = open_chart.wiring.views.claims()
    claim = open_chart.wiring.views.claim(row.number)
    assert claim
    assert "ask" in [act.kind for act in acts_for(claim)]
    facts = facts_of("ask", claim, {"ask": "Which side?", "choices": " Right \n\nLeft\n", "asked_of": ""})
    assert facts == {"ask": "Which side?", "choices": ["Right", "Left"], "asked_of": "", "claim": row.number}


# ---- live


def test_news_of_a_visit_is_a_stamp_that_changes_with_an_answer(open_chart: Room) -> None:
    base = open_chart.open()
    before = re.search(r"data-stamp=\"(\w+)\"", open_chart.client.get(f"{base}/visit").text)
    say(open_chart, base, choice="J02.9")
    after = re.search(r"data-stamp=\"(\w+)\"", open_chart.client.get(f"{base}/visit").text)
    assert before
    assert after
    assert before[1] != after[1]


def test_the_stream_sends_only_a_stamp_and_ends_by_itself(open_chart: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WHOLE_SECONDS", 0.2)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)
    base = open_chart.open()
    stamp = re.search(r"data-stamp=\"(\w+)\"", open_chart.client.get(f"{base}/visit").text)
    with open_chart.client.stream("GET", f"{base}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.iter_text())
    assert stamp
    assert text == f"retry: 3000\n\nid: {stamp[1]}\ndata: {stamp[1]}\n\n"


def test_streams_end_when_the_server_stops(open_chart: Room) -> None:
    base = open_chart.open()
    open_chart.app.state.face.settings.closing.set()
    with open_chart.client.stream("GET", f"{base}/live") as stream:
        assert "".join(stream.iter_text()) == "retry: 3000\n\n"


def test_looking_on_keeps_no_session_alive_and_a_stranger_hears_nothing(open_chart: Room) -> None:
    assert open_chart.client.get("/v/nobody/live").status_code == 401
    assert open_chart.client.get("/live/claims/C-X").status_code == 303


def test_a_session_has_only_a_few_streams(open_chart: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    base = open_chart.open()
    monkeypatch.setitem(live._open, base.removeprefix("/v/"), live.MOST_STREAMS)
    assert open_chart.client.get(f"{base}/live").status_code == 204


def test_what_must_be_typed_stands_beside_its_answers_and_is_asked_for(tmp_path: Path) -> None:
    with room(tmp_path) as made:
        site = made.wiring.site
        site.clinicians = replace(site.clinicians, minutes={"99213": 15})
        base = made.open()
        (card,) = cards(made.client.get(f"{base}/visit").text)
        assert '<label for="t-' in card
        assert "Minutes is missing" in say(made, base, choice="minutes", text="").text
        assert say(made, base, choice="minutes", text="twenty").status_code == 422
        assert say(made, base, choice="minutes", text="20").status_code == 303
        assert "This many minutes, 20" in shown_text(made.client.get(f"{base}/visit").text)


def test_something_else_opens_the_finder_with_its_question(open_chart: Room) -> None:
    base = open_chart.open()
    page = open_chart.client.get(f"{base}/visit").text
    assert f'formaction="{base}/codes" name="table" value="diagnosis"' in page
    found = open_chart.client.post(
        f"{base}/codes", data=answer_form(page) | {"table": "diagnosis", "words": "sore throat"}
    )
    assert found.status_code == 200
    assert "Why was the patient seen?" in found.text
