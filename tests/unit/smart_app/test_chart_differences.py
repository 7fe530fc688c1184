"""Where chart and book differ a biller sees both, filters, exports, closes with a reason, and decides each proposal."""

from __future__ import annotations

import csv
import io

import pytest

from fhir_billing.cycle.two_sides import Caught
from smart_app.desk.chart_differences import acts_of, kept
from smart_app.example_sides import BACK, LATE
from tests.unit.smart_app.desk import Desk, words

LIST = "/desk/chart-differences"
PROPOSAL = "/desk/proposals/" + LATE.replace(":", "/")
ACCEPTED = "/desk/proposals/" + BACK.replace(":", "/")


@pytest.fixture
def desk() -> Desk:
    return Desk().sign_in()


def test_the_list_shows_each_kind_with_its_money_and_who_found_the_visits(desk: Desk) -> None:
    said = words(desk.read(LIST))
    for part in ("Missing here", "Gone from the chart", "Replace the claim", "Void the claim", "−1,240.00", "+100.00"):
        assert part in said
    assert "The EHR rang 9" in said
    assert "Nov 23 1 – 1" in said, "what the night caught, by kind"


def test_a_filter_narrows_and_the_export_is_what_is_shown(desk: Desk) -> None:
    assert "Void the claim" not in words(desk.read(f"{LIST}?kind=missing")).split("Who found")[0].split("Sort")[1]
    rows = list(csv.DictReader(io.StringIO(desk.read(f"{LIST}.csv?kind=replace"))))
    assert [(row["bill"], row["money"]) for row in rows] == [("C-EX0008", "100.00")]
    assert kept(desk.example.sides(), "", "money")[0].kind == "void"
    assert "Nothing of this kind" in words(desk.read(f"{LIST}?kind=changed"))


def test_when_both_agree_the_page_says_so(desk: Desk) -> None:
    desk.example.empty = True
    assert "The chart and the book agree" in words(desk.read(LIST))


def test_a_difference_is_closed_with_a_reason(desk: Desk) -> None:
    page = desk.read(LIST)
    status, said = desk.post(f"{LIST}/close", page, difference="missing:Encounter/ex-new", reason="A test visit")
    assert status == 200
    assert "Closed." in words(said)
    kind, facts, who, _ = desk.example.acted[-1]
    assert (kind, facts) == ("difference-close", {"difference": "missing:Encounter/ex-new", "reason": "A test visit"})
    assert who


def test_a_proposal_shows_what_was_sent_and_what_the_chart_says(desk: Desk) -> None:
    said = words(desk.read(PROPOSAL))
    assert "Line 1: code 99213 99214 Claim.item[0].productOrService" in said
    assert "Charge as sent $125.00" in said
    assert "frequency 7 with the payer's number EXICN00012" in said
    desk.read("/desk/proposals/C-EX0008/nothing", 404)


@pytest.mark.parametrize(("path", "kind"), [(PROPOSAL, "accept"), (PROPOSAL, "dismiss"), (ACCEPTED, "done")])
def test_a_person_decides(desk: Desk, path: str, kind: str) -> None:
    status, _ = desk.post(f"{path}/{kind}", desk.read(path), reason="Because")
    assert status == 200
    assert desk.example.acted[-1][0] == f"proposal-{kind}"


def test_what_cannot_be_decided_has_no_button(desk: Desk) -> None:
    shown = desk.example.proposal(LATE)
    assert shown is not None
    assert [act.kind for act in acts_of(shown)] == ["accept", "dismiss"]
    assert desk.post(f"{PROPOSAL}/done", desk.read(PROPOSAL), reason="x")[0] == 404
    desk.example.refuse = "it has moved on"
    status, said = desk.post(f"{PROPOSAL}/accept", desk.read(PROPOSAL))
    assert status == 422
    assert "it has moved on" in words(said)


def test_today_and_the_navigation_count_what_waits(desk: Desk) -> None:
    said = words(desk.read("/"))
    assert "4 differences between chart and book" in said


def test_before_the_first_night_the_net_says_only_that(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.example, "caught", lambda _: Caught())
    said = words(desk.read(LIST))
    assert "Not compared yet" in said
    assert "no night found" not in said
