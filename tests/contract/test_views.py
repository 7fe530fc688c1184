"""What a screen shows is what the book holds: every page, on SQLite and Postgres, after a real exchange with the payer simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from fhir_billing.cycle.views import Views
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import State
from tests.e2e import charts
from tests.e2e.story import Story

TODAY = date(2026, 3, 10)
PEOPLE = ("ada", "bo", "cy", "gus", "hal", "kit", "ona", "oz", "ray")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder: Path = tmp_path_factory.mktemp("views")
    url = f"sqlite:///{folder / 'book.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    story = Story(folder=folder, database=url, scenario="demo", day="2026-03-03")
    for name in PEOPLE:
        resources = charts.finished(charts.chart(name))
        for visit in (r for r in resources if r["resourceType"] == "Encounter"):
            story.visit(f"Encounter/{visit['id']}", resources, found_by="hook")
    for _ in range(2):
        story.send()
        story.collect()
    yield story
    story.wiring.store.close()


@pytest.fixture
def views(story: Story) -> Views:
    return story.wiring.views


def test_the_lists_hold_every_claim_once_and_their_counts_agree(story: Story, views: Views) -> None:
    listed = views.claims()
    assert {row.number: row.state for row in listed} == {number: c.state for number, c in story.claims().items()}
    counts = views.counts(TODAY)
    for state in State:
        rows = views.claims([state])
        assert counts.of([state]).count == len(rows)
        assert counts.of([state]).amount == sum(row.charge for row in rows)
    dues = [row.due for row in listed if row.due]
    assert dues == sorted(dues), "the nearest deadline first"


def test_every_claim_page_adds_up_and_says_what_the_ledger_says(story: Story, views: Views) -> None:
    for number in story.claims():
        page = views.claim(number)
        assert page is not None
        assert page.sums.off_by == 0
        with story.wiring.store.begin() as book:
            balances = book.balances(number)
            told = book.biography(number)
        assert page.sums.open == sum(balances.get(account, 0) for account in ledger.RECEIVABLES)
        assert page.sums.charge == -balances.get(ledger.CHARGES, 0) == page.billed
        assert [line.what for line in page.biography] == [line.what for line in told]
        assert page.bill is not None
        assert page.bill.charge == page.row.charge
        assert bool(page.envelopes) == bool(page.row.attempt)
        for decision in page.decisions:
            assert decision.whole.off_by == 0
            assert all(line.off_by == 0 for line in decision.lines)
        assert {line.message for line in page.biography if line.message} == set(page.files)


def test_the_three_trial_balances_hold(views: Views) -> None:
    from smart_app.desk.books import trial_balances

    books = views.books()
    assert books.accounts
    assert [check.holds for check in trial_balances(books)] == [True, True, True]
    pages = [views.claim(row.number) for row in views.claims()]
    self_pay = sum(
        v.sums.open
        for p in views.patients()
        if (page := views.patient(p.patient))
        for v in page.visits
        if v.state is None
    )
    assert books.receivables == sum(page.sums.open for page in pages if page) + self_pay


def test_a_remittance_shows_its_sums_its_journals_and_each_arrival(views: Views) -> None:
    rows = views.remittances()
    assert {row.status for row in rows} == {"posted", "quarantined"}
    for row in rows:
        page = views.remittance(row.number)
        assert page is not None
        assert page.row == row
        assert len(page.claims) == row.claims
        if row.status == "posted":
            assert all(check.holds for check in row.checks)
            assert page.banked + page.clearing == row.paid
            assert all(c.journal in {j.key for j in page.journals} for c in page.claims if c.journal)
        else:
            assert page.journals == ()
            assert page.imbalances
            assert not all(check.holds for check in row.checks)
    assert max(row.arrivals for row in rows) == 3, "kit's payer answers twice more, once with other line breaks"
    assert {row.payer_name for row in rows} <= {row.payer_name for row in views.claims()}


def test_quarantine_keeps_the_bytes_and_the_place(story: Story, views: Views) -> None:
    [row] = views.quarantined()
    page = views.message(row.id)
    assert page is not None
    assert page.body.startswith(b"ISA")
    assert len(page.body) == row.size
    assert row.findings
    assert row.findings[0].at.startswith("segment ")
    assert page.arrivals


def test_sent_files_hold_their_claims_and_their_bytes(views: Views) -> None:
    for row in views.sent():
        page = views.envelope(row.key)
        assert page is not None
        assert [c.number for c in page.claims] == list(row.claims)
        assert all(number.encode() in page.body for number in row.claims)
        assert row.sent_at is not None
        assert row.receipt


def test_every_visit_is_accounted_for_and_a_self_pay_patient_owes(views: Views) -> None:
    visits = views.visits()
    assert len(visits) >= len(PEOPLE)
    today = views.today(TODAY, datetime(2026, 3, 1, tzinfo=UTC))
    assert sum(t.count for t in today.visits.values()) == len(visits)
    alone = [v for v in visits if v.outcome == "self-pay"]
    assert alone
    for visit in alone:
        page = views.patient(visit.patient)
        assert page is not None
        assert page.owes == visit.charge
        shown = views.visit(visit.encounter)
        assert shown is not None
        assert shown.claims == ()
    owing = {row.patient: row.owes for row in views.patients() if row.owes > 0}
    assert views.counts(TODAY).patients.count == len(owing)
    assert views.counts(TODAY).patients.amount == sum(owing.values())


def test_today_holds_what_waits_for_a_person(story: Story, views: Views) -> None:
    today = views.today(TODAY, datetime(2026, 3, 1, tzinfo=UTC))
    wanted = story.worklist(State.HELD, State.REJECTED, State.QUERIED, State.DENIED)
    assert {row.number for row in today.rows} == wanted
    assert today.remittances == sum(1 for row in views.remittances() if row.status == "posted")
    assert today.moves[State.REJECTED].count >= 1
    assert len(today.silent) >= 1, "gus's payer is silent"


def test_find_knows_numbers_and_names(story: Story, views: Views) -> None:
    row = views.claims()[0]
    assert [f.key for f in views.find(row.number.lower()) if f.what == "claim"] == [row.number]
    assert {f.what for f in views.find("zztest")} == {"patient"}
    trace = views.remittances()[0].trace
    assert [f.what for f in views.find(trace)] == ["remittance"]
    assert views.find("%") == []
    assert views.find("no such thing") == []


def test_what_is_not_there_is_none(views: Views) -> None:
    assert views.claim("C-NONE") is None
    assert views.remittance("R-999") is None
    assert views.message(999_999) is None
    assert views.envelope("NONE") is None
    assert views.visit("Encounter/none") is None
    assert views.patient("Patient/none") is None
