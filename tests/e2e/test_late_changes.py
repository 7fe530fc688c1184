"""A chart that changes after its claim left: a proposal with exactly what differs, decided by a person, never a silent change."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cycle.records import ProposalRecord, VisitRecord
from fhir_billing.domain.lifecycle import State
from tests.e2e import charts
from tests.e2e.story import Story

Resources = list[dict[str, Any]]
VISIT = "Encounter/ada-visit"


@pytest.fixture
def story(tmp_path: Path, each_database: str) -> Story:
    return Story(folder=tmp_path, database=each_database, scenario="story-s1", day="2026-03-02")


def chart(version: int = 1, status: str = "finished", price: str = "") -> Resources:
    """Ada's chart in one of its versions."""
    found = charts.finished(charts.chart("ada"))
    for resource in found:
        if resource["resourceType"] == "Encounter":
            resource["status"] = status
            resource["meta"] = {"versionId": str(version)}
        if resource["id"] == "ada-charge1" and price:
            resource["priceOverride"]["value"] = Decimal(price)
    return found


def proposals(story: Story) -> list[ProposalRecord]:
    with story.wiring.store.begin() as book:
        return book.proposals()


def visit(story: Story) -> VisitRecord:
    with story.wiring.store.begin() as book:
        found = book.visit(VISIT)
    assert found is not None
    return found


def sent(story: Story) -> str:
    """Ada's claim has left; its number."""
    story.visit(VISIT, chart())
    story.send()
    claim = story.only_claim()
    assert claim.state is State.SENT
    return claim.number


def test_a_corrected_chart_makes_a_proposal_with_exact_rows_and_the_claim_stays(story: Story, tmp_path: Path) -> None:
    number = sent(story)
    before = story.only_claim()
    story.visit(VISIT, chart(2, price="131.00"))
    (one,) = proposals(story)
    assert (one.kind, one.status, one.claim) == ("replace", "open", number)
    rows = [(row["at"], row["was"], row["now"]) for row in one.fields]
    assert rows == [("Claim.item[0].net", "$125.00", "$131.00"), ("Claim.total", "$155.00", "$161.00")]
    after = story.only_claim()
    assert (after.resource, after.charge, after.state) == (before.resource, before.charge, State.SENT)
    assert story.balances(number) == {"RP": "155.00"}
    assert visit(story).changed_after_send
    assert visit(story).version == "2"
    assert "a reason" in story.act("proposal-dismiss", proposal=one.key, reason="")
    assert story.act("proposal-dismiss", proposal=one.key, reason="The contract says 125").startswith("done")
    assert not visit(story).changed_after_send
    story.visit(VISIT, chart(3, price="131.00"))
    assert [p.status for p in proposals(story)] == ["dismissed"], "what a person has decided is not asked again"
    story.visit(VISIT, chart(4, "entered-in-error"))
    void = next(p for p in proposals(story) if p.kind == "void")
    assert [dict(row) for row in void.fields] == [
        {"at": "Encounter.status", "what": "The visit", "was": "finished", "now": "entered-in-error"}
    ]
    assert story.state(number) is State.SENT
    assert story.replay_is_equal(tmp_path)


def test_the_desk_lists_what_waits_with_its_money_and_what_is_decided(story: Story) -> None:
    number = sent(story)
    story.visit(VISIT, chart(2, price="131.00"))
    views = story.wiring.views
    (row,) = views.sides()
    assert (row.number, row.kind, row.money, row.status) == (number, "replace", 600, "open")
    assert row.say == "Line 1: charge was $125.00, now $131.00; Charge of the claim was $155.00, now $161.00"
    page = views.proposal(row.key)
    assert page is not None
    assert (page.charge, page.charge_now, page.money) == (15500, 16100, 600)
    assert views.counts(story.wiring.site.local(story.clock.now())).chart == 1
    assert views.caught(story.clock.now()).found_by == {"hand": 1}
    story.act("proposal-dismiss", proposal=row.key, reason="No")
    assert views.sides() == []
    assert [(done.status, done.closed_by) for done in views.sides(closed=True)] == [("dismissed", "Bea Biller")]


def test_newer_news_overtakes_and_a_chart_that_goes_back_takes_its_proposal_back(story: Story, tmp_path: Path) -> None:
    number = sent(story)
    story.visit(VISIT, chart(2, price="131.00"))
    story.visit(VISIT, chart(3, price="140.00"))
    assert [p.status for p in proposals(story)] == ["overtaken", "open"]
    story.visit(VISIT, chart(4))
    assert [p.status for p in proposals(story)] == ["overtaken", "overtaken"]
    assert proposals(story)[-1].why == "The chart says again what was sent"
    assert not visit(story).changed_after_send
    assert any("overtaken" in line for line in story.biography(number))
    story.visit(VISIT, chart(5, "in-progress"))
    assert [(p.kind, p.status) for p in proposals(story)][-1] == ("void", "open")
    story.visit(VISIT, chart(6))
    assert {p.status for p in proposals(story)} == {"overtaken"}
    assert story.replay_is_equal(tmp_path)


def test_an_accepted_proposal_stands_on_the_list_until_it_is_sent(story: Story, tmp_path: Path) -> None:
    number = sent(story)
    story.visit(VISIT, chart(2, price="131.00"))
    (one,) = proposals(story)
    story.act("proposal-accept", proposal=one.key)
    assert proposals(story)[0].status == "accepted"
    assert any("frequency 7" in line for line in story.biography(number))
    assert visit(story).changed_after_send
    assert story.act("proposal-done", proposal=one.key, reason="Sent by the portal").startswith("done")
    assert not visit(story).changed_after_send
    story.visit(VISIT, chart(3, price="131.00"))
    assert [p.status for p in proposals(story)] == ["done"], "the payer holds what the chart says"
    story.visit(VISIT, chart(4))
    back = proposals(story)[-1]
    assert (back.fields[0]["was"], back.fields[0]["now"]) == ("$131.00", "$125.00")
    assert story.replay_is_equal(tmp_path)


def test_a_patient_is_not_billed_while_a_payer_holds_the_claim(story: Story) -> None:
    number = sent(story)
    story.visit(VISIT, [r for r in chart(2) if r["resourceType"] != "Coverage"])
    (one,) = proposals(story)
    assert one.kind == "void"
    assert story.balances(number) == {"RP": "155.00"}
    assert visit(story).outcome == "billed"


def test_a_visit_that_opens_again_before_its_claim_left_waits_and_is_drafted_anew(story: Story, tmp_path: Path) -> None:
    story.visit(VISIT, chart())
    number = story.only_claim().number
    story.visit(VISIT, chart(2, "in-progress"))
    assert story.only_claim().state is State.HELD
    story.visit(VISIT, chart(3, price="131.00"))
    assert (story.only_claim().number, story.only_claim().state) == (number, State.READY)
    assert story.only_claim().charge == 16100
    assert story.replay_is_equal(tmp_path)


def test_a_visit_that_comes_back_from_an_error_is_billed_under_the_next_number(story: Story, tmp_path: Path) -> None:
    story.visit(VISIT, chart())
    number = story.only_claim().number
    story.visit(VISIT, chart(2, "entered-in-error"))
    story.visit(VISIT, chart(3))
    story.visit(VISIT, copy.deepcopy(chart(4)))
    assert {n: c.state for n, c in story.claims().items()} == {number: State.VOIDED, f"{number}-A1": State.READY}
    assert proposals(story) == []
    assert story.replay_is_equal(tmp_path)


def test_a_self_pay_visit_that_was_an_error_is_owed_no_more_and_owed_again_when_it_comes_back(
    story: Story, tmp_path: Path
) -> None:
    def hal(version: int, status: str = "finished") -> Resources:
        found = charts.finished(charts.chart("hal"))
        for resource in found:
            if resource["resourceType"] == "Encounter":
                resource.update(status=status, meta={"versionId": str(version)})
        return found

    name = charts.encounter_of(hal(1))
    story.visit(name, hal(1))
    with story.wiring.store.begin() as book:
        visit = book.visit(name)
    assert visit is not None and visit.outcome == "self-pay"
    owed = story.balances(visit.number)
    assert list(owed) == ["PT"]
    for version in (2, 4):
        story.visit(name, hal(version, "entered-in-error"))
        assert story.balances(visit.number) == {}
        story.visit(name, hal(version + 1))
        assert story.balances(visit.number) == owed
    story.act("pay", claim=visit.number, amount="10.00", how="cash")
    story.visit(name, hal(6, "cancelled"))
    assert story.balances(visit.number) == {"BK": "10.00", "UN": "-10.00"}, "what was paid is the patient's again"
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def test_the_store_tells_what_it_knows_of_some_days(story: Story) -> None:
    story.visit(VISIT, chart(7))
    day = story.wiring.site.local(story.clock.now())
    (known,) = story.wiring.store.known(day, day)
    assert (known.encounter, known.version, known.outcome) == (VISIT, "7", "billed")
    assert known.read_at is not None
    later = day.replace(year=day.year + 1)
    assert list(story.wiring.store.known(later, later)) == []
