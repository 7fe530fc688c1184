"""What a person posts at the desk does that one thing, to that one claim, once; and what went wrong is never told as done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fhir_billing.api.app import create_app
from fhir_billing.cycle.arithmetic import BillSums
from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import MalformedResource, NotAMove
from fhir_billing.domain.lifecycle import State
from smart_app.desk.patients import story as story_of
from smart_app.mount import Desk
from tests.e2e import charts
from tests.e2e.story import Story
from tests.unit.smart_app.desk import words


class Browser:
    """The whole application, signed in as the demo's user."""

    def __init__(self, story: Story) -> None:
        self.story = story
        story.wiring.settings.demo = True
        story.wiring.settings.hook_secret = "ring-ring"
        self.http = TestClient(create_app(story.wiring, beats=False), raise_server_exceptions=True)
        self.http.post("/sign-in/demo", data={"csrf": self.field("/sign-in", "csrf"), "next": "/"})

    def field(self, path: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.http.get(path).text)
        assert found, name
        return unescape(found[1])

    def post(self, path: str, key: str, **facts: str) -> tuple[int, str]:
        form = {"csrf": self.field("/find", "csrf"), "key": key, **facts}
        answer = self.http.post(path, data=form)
        return answer.status_code, answer.text


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Browser]:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="demo", day="2026-03-03")
    for name in ("ada", "bo"):
        resources = charts.finished(charts.chart(name))
        story.visit(charts.encounter_of(resources), resources)
    yield Browser(story)
    story.wiring.store.close()


def number_of(desk: Browser, patient: str) -> str:
    return next(n for n, c in desk.story.claims().items() if c.patient == f"Patient/{patient}")


def two(desk: Browser) -> tuple[str, str]:
    one, other = sorted(desk.story.claims())[:2]
    return one, other


def told(desk: Browser, number: str) -> str:
    page = desk.story.wiring.views.claim(number)
    assert page
    return " | ".join(line.what for line in page.biography)


def test_a_form_field_never_chooses_the_act_or_the_claim(desk: Browser) -> None:
    one, other = two(desk)
    status, _ = desk.post(f"/claims/{one}/note", "k1", text="Called them", act="hold", claim=other, reason="mine now")
    assert status == 200
    assert "Called them" in told(desk, one)
    assert "mine now" not in told(desk, one) + told(desk, other)
    assert {c.state for c in desk.story.claims().values()} == {State.READY}


def test_a_payment_is_entered_on_the_patients_own_bill_only(desk: Browser) -> None:
    one, other = (desk.story.claims()[n] for n in two(desk))
    mine = one.patient.rpartition("/")[2]
    status, _ = desk.post(f"/patients/{mine}/pay", "k1", claim=other.number, amount="5.00", how="cash")
    assert status == 404
    assert "payment" not in told(desk, other.number).lower()
    assert desk.post(f"/patients/{mine}/pay", "k2", claim=one.number, amount="5.00", how="cash")[0] == 200
    assert desk.post(f"/patients/{mine}/pay", "k3", claim=one.number, amount="٥", how="cash")[0] == 422


def test_a_form_that_failed_is_not_told_as_done_when_it_comes_again(desk: Browser) -> None:
    hands, facts = Desk(desk.story.wiring, lambda: None), {"trace": "none", "amount": "5.00", "payer": "EXC01"}
    for _ in range(2):
        with pytest.raises(NotAMove, match="in clearing"):
            hands.act("deposit", facts, "Bea Biller", "k9")
    with pytest.raises(NotAMove, match="already used"):
        hands.act("deposit", {**facts, "amount": "6.00"}, "Bea Biller", "k9")
    for key in ("", "a\x00b"):
        with pytest.raises(MalformedResource):
            hands.act("deposit", facts, "Bea Biller", key)


def test_the_same_form_twice_is_one_act_and_both_times_done(desk: Browser) -> None:
    one, _ = two(desk)
    for _ in range(2):
        assert desk.post(f"/claims/{one}/hold", "k1", reason="wait for the referral")[0] == 200
    assert told(desk, one).count("Held: wait for the referral") == 1
    status, page = desk.post(f"/claims/{one}/hold", "k1", reason="another reason")
    assert status == 422
    assert "already used" in page


def test_what_a_person_mistyped_is_told_and_never_kept(desk: Browser) -> None:
    one, _ = two(desk)
    desk.post(f"/claims/{one}/hold", "k1", reason="wait")
    tries = [
        ("correct", {"change": "billing_npi", "value": "1234567890"}),
        ("correct", {"change": "patient_zip", "value": "abc"}),
        ("correct", {"change": "diagnoses", "value": "nothing"}),
        ("correct", {"change": "member_id", "value": "Ω1"}),
        ("correct", {"change": "number", "value": "C-MINE"}),
        ("note", {"text": "  "}),
        ("release", {"reason": " "}),
        ("appeal", {"reason": "never denied", "level": "1", "packet": ""}),
    ]
    for n, (kind, facts) in enumerate(tries):
        assert desk.post(f"/claims/{one}/{kind}", f"t{n}", **facts)[0] == 422, (kind, facts)
    assert desk.story.wiring.views.quarantined() == []
    assert not any(desk.story.wiring.views.is_kept(Kind.ACT, f"t{n}") for n in range(len(tries)))


def charted(desk: Browser, name: str) -> str:
    resources = charts.finished(charts.chart(name))
    desk.story.visit(charts.encounter_of(resources), resources)
    return next(n for n, c in desk.story.claims().items() if c.encounter == charts.encounter_of(resources))


def reads(desk: Browser, path: str) -> str:
    return words(desk.http.get(path).text)


def test_what_waits_for_a_second_plan_is_told_as_that_plans(desk: Browser) -> None:
    dee = charted(desk, "dee")
    desk.story.send()
    desk.story.collect()
    name = dict(desk.story.wiring.views.claim(dee).next_plans)  # type: ignore[union-attr]
    assert list(name.values()) == [2000]
    [plan] = name
    page = reads(desk, f"/claims/{dee}")
    assert f"$20.00 waits for {plan}; billing a second plan is done outside this program" in page
    assert "the payer owes" not in page
    patient = reads(desk, f"/patients/{desk.story.claims()[dee].patient.rpartition('/')[2]}")
    assert f"$20.00 waits for {plan}" in patient
    assert f"{plan} still decides −$20.00" in patient
    assert "Medicare still decides" not in patient


def test_a_bill_that_goes_on_to_another_plan_is_one_story_and_is_not_paid_up(desk: Browser) -> None:
    from fhir_billing.cycle.views import VisitBalance, told_once
    from fhir_billing.domain.money import cents

    whole = cents("1240")
    old = VisitBalance(
        number="C-1", encounter="Encounter/1", outcome="billed", payer_name="Example Old", state=State.CLOSED,
        charge=whole, sums=BillSums(charge=whole, moved=-whole),
    )  # fmt: skip
    new = VisitBalance(
        number="C-1-B", encounter="Encounter/1", outcome="billed", payer_name="Example New", state=State.SENT,
        charge=whole, sums=BillSums(moved=whole, payer_owes=whole),
    )  # fmt: skip
    [one] = told_once([old, new])
    assert (one.number, one.began_as, one.began_with) == ("C-1-B", "C-1", "Example Old")
    assert (one.sums.charge, one.sums.moved, one.sums.payer_owes) == (whole, 0, whole)
    rows = {row["label"]: row["amount"] for row in story_of(one)}
    assert rows == {"The visit cost": whole, "Your plan still decides": -whole, "Your part now": 0}
    assert story_of(old) == [], "a bill of which nothing is left asks nobody"


def test_what_is_at_stake_of_a_denied_claim_is_what_is_in_dispute(desk: Browser) -> None:
    from dataclasses import replace

    row = desk.story.wiring.views.claims()[0]
    assert row.stake == row.charge
    assert replace(row, state=State.DENIED, disputed=500).stake == 500
    desk.story.send()
    desk.story.collect()
    now = desk.story.clock.now()
    today = desk.story.wiring.views.today(now.date(), now - timedelta(days=7))
    paid = [
        c.payment
        for r in desk.story.wiring.views.remittances()
        for c in desk.story.wiring.views.remittance(r.number).claims  # type: ignore[union-attr]
        if r.status == "posted" and c.payment.paid > 0
    ]
    assert paid
    assert (today.paid.count, today.paid.amount) == (len({p.claim for p in paid}), sum(p.paid for p in paid))


def test_an_address_or_a_form_that_no_book_could_hold_is_refused_at_the_door(desk: Browser) -> None:
    one, _ = two(desk)
    for path in (f"/claims/{one}%00", "/hooks/ehr/Encounter/%00", "/find?words=%00", "/patients/a%0ab", "/files/%00"):
        assert desk.http.get(path).status_code == 400, path
    assert desk.http.post("/hooks/ehr/Encounter/%00").status_code == 400
    assert desk.post(f"/claims/{one}/note", "n1", text="a\x00b")[0] == 400
    assert desk.post("/find", "n2", words="\x00")[0] == 400
    assert desk.post(f"/claims/{one}/note", "n3", text="two\r\nlines")[0] == 200
    for number in (0, -1, 2**31, 2**63, 10**30):
        assert desk.http.get(f"/quarantine/{number}").status_code in {404, 422}
    assert desk.http.get("/quarantine/9223372036854775808").status_code == 404


def test_a_hook_says_little_to_strangers_and_keeps_one_of_them_a_day(desk: Browser) -> None:
    for n in range(5):
        answer = desk.http.post("/hooks/ehr", content=f"body {n}".encode(), headers={"x-hook-secret": "wrong"})
        assert answer.status_code == 401
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert [row.key for row in desk.story.wiring.views.quarantined()] == ["stranger:2026-03-03"]
    ours = {"x-hook-secret": "ring-ring"}
    for body in (b'{"resourceType": "Encounter", "meta": "str"}', b"", b"[" * 5000, b"\x00", b'{"id": "\\u0000"}'):
        assert desk.http.post("/hooks/ehr", content=body, headers=ours).status_code == 200


def test_too_large_a_body_is_refused_by_its_length_and_while_it_comes(
    desk: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_billing.api import notifications, remittances

    monkeypatch.setattr(notifications, "MOST_BYTES", 100)
    monkeypatch.setattr(remittances, "MOST_BYTES", 100)
    read: list[int] = []

    def pieces() -> Iterator[bytes]:
        for n in range(50):
            read.append(n)
            yield b"x" * 60

    for path in ("/hooks/ehr", "/files/big.835"):
        headers = {"authorization": "Bearer ring-ring"}
        assert desk.http.post(path, content=b"x" * 101, headers=headers).status_code == 413
        assert desk.http.post(path, content=pieces(), headers=headers).status_code == 413


def test_the_edge_answers_with_the_same_headers_as_the_desk(desk: Browser) -> None:
    assert desk.http.get("/openapi.json", follow_redirects=False).status_code == 404
    headers = desk.http.get("/health").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src 'self'" in desk.http.get("/sign-in").headers["content-security-policy"]


def test_signing_out_ends_every_copy_of_the_session(desk: Browser) -> None:
    copied = dict(desk.http.cookies)
    assert desk.http.get("/worklists").status_code == 200
    assert desk.post("/sign-out", "s1")[0] == 200
    thief = TestClient(desk.http.app, cookies=copied, raise_server_exceptions=True)
    assert thief.get("/worklists", follow_redirects=False).status_code == 303
    assert thief.get("/sign-in", follow_redirects=False).status_code == 200


def test_a_claim_given_up_says_that_the_patient_still_owes() -> None:
    from dataclasses import replace

    from smart_app.example import Example

    example = Example()
    row = replace(example.claims()[0], state=State.CLOSED, patient_owes=900)
    assert row.owner == "patient"
    assert replace(row, patient_owes=0).owner != "patient"
