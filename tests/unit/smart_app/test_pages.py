"""Every page reads without a script, adds up, and names no patient where a name would leak."""

from __future__ import annotations

import re

import pytest

from fhir_billing.domain.lifecycle import State
from smart_app.desk.books import trial_balances
from smart_app.look import STATES
from tests.unit.smart_app.desk import Desk, words

PAGES = [
    "/",
    "/?owner=clinician",
    "/worklists",
    *[
        f"/worklists/{name}"
        for name in (
            "held",
            "ready",
            "silent",
            "rejected",
            "queried",
            "denied",
            "appealed",
            "with-payers",
            "decided",
            "all",
        )
    ],
    "/worklists/all?group=payer&sort=charge&down=1",
    "/claims/C-EX0001",
    "/claims/C-EX0005",
    "/claims/C-EX0009",
    "/claims/C-EX0001/elements",
    "/claims/C-EX0001/fhir",
    "/claims/C-EX0001/837/EXC01-837P-000000001",
    "/claims/C-EX0009/preview",
    "/remittances",
    "/remittances/R-1",
    "/remittances/R-3",
    "/remittances/R-4",
    "/quarantine",
    "/quarantine/22",
    "/quarantine/23",
    "/sent",
    "/sent/EXC01-837P-000000001",
    "/patients",
    "/patients/zzte-jo",
    "/books",
    "/visits",
    "/visit/c-ex0005",
    "/visit/c-ex0008",
    "/visit/ex-hal",
    "/find",
    "/gallery",
]


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk().sign_in()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_read_and_keeps_the_policy(desk: Desk, path: str) -> None:
    page = desk.read(path)
    assert "style=" not in page, "an inline style breaks the content policy"
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), "an inline script breaks the content policy"
    assert not re.search(r"\son[a-z]+=", page)
    titles = re.findall(r"<title>(.*?)</title>", page)
    assert not any(name in title for title in titles for name in ("Zztest", "Example-")), titles


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_list_and_a_look(desk: Desk, state: State) -> None:
    assert STATES[state].word in words(desk.read(f"/worklists/{state.value}"))


def test_rejected_and_denied_share_neither_icon_nor_hue_nor_verb() -> None:
    rejected, denied = STATES[State.REJECTED], STATES[State.DENIED]
    assert rejected.icon != denied.icon
    assert rejected.tone != denied.tone
    assert "appeal" in denied.means
    assert "nothing to appeal" in rejected.means


def test_a_page_is_never_cached_and_frames_only_where_allowed() -> None:
    headers = Desk(frame_ancestors="https://ehr.example").http.get("/sign-in").headers
    assert headers["cache-control"] == "no-store"
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "style-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors https://ehr.example" in headers["content-security-policy"]


def test_every_look_at_a_chart_is_written_down(desk: Desk) -> None:
    desk.example.audited.clear()
    desk.read("/claims/C-EX0001")
    desk.read("/patients/zzte-jo")
    desk.read("/raw/23")
    assert [(what, about) for _, what, about in desk.example.audited] == [
        ("read a claim", "C-EX0001"),
        ("read a patient's balance", "Patient/zzte-jo"),
        ("downloaded a raw message", "23"),
    ]
    assert all(who == "Bea Biller" for who, _, _ in desk.example.audited)


def test_today_says_what_to_do_for_whom_and_by_when(desk: Desk) -> None:
    page = words(desk.read("/"))
    assert "Fix and send again: the payer does not know this member id (3 claims)" in page
    assert "4 days" in page
    assert "Ask Example Harbor HMO about 1 claim it never answered" in page
    assert "The chart holds no diagnosis for this visit (2 claims)" in words(desk.read("/?owner=clinician"))


def test_the_claim_page_shows_a_sum_that_adds_up(desk: Desk) -> None:
    page = words(desk.read("/claims/C-EX0008"))
    assert (
        "Charge $335.00 − Write-off (contract) $157.00 − Paid by Example Blue Ridge PPO $142.40 − Paid by patient $0.00 = Open balance $35.60"
        in page
    )
    assert "$35.60 the patient owes" in page


def test_a_claim_that_has_not_left_asks_nobody(desk: Desk) -> None:
    assert "Not sent: the ledger asks nobody for it yet" in words(desk.read("/claims/C-EX0005"))


def test_an_837_shows_only_this_claims_transaction_set(desk: Desk) -> None:
    page = desk.read("/claims/C-EX0001/837/EXC01-837P-000000001")
    assert "ISA*" not in page
    assert "CLM*C-EX0001" in page


def test_an_unbalanced_remittance_shows_both_sums_and_the_line(desk: Desk) -> None:
    page = words(desk.read("/remittances/R-3"))
    assert "These sums fail, so nothing was posted" in page
    assert "Claim C-EX0013 line 1" in page
    assert "= $24.80, but SVC03 (segment 21) says $12.40: −$12.40" in page
    assert "Nothing was posted" in page


def test_two_files_under_one_trace_stand_side_by_side(desk: Desk) -> None:
    page = words(desk.read("/remittances/R-4"))
    assert "Side by side" in page
    assert "C-EX0001 paid posted $86.00 this file $96.00 $10.00" in page
    assert "3 times, posted once" in words(desk.read("/remittances/R-1"))


def test_the_three_trial_balances_hold(desk: Desk) -> None:
    assert [check.holds for check in trial_balances(desk.example.books())] == [True, True, True]
    assert "The ledger sums to zero" in words(desk.read("/books"))


def test_a_patient_reads_what_the_visit_cost_and_why_the_rest_is_theirs(desk: Desk) -> None:
    page = words(desk.read("/patients/zzte-jo"))
    for sentence in (
        "You owe $35.60",
        "The visit cost $335.00",
        "Lower price your plan agreed −$157.00",
        "Your plan paid −$142.40",
        "Your part now $35.60",
        "Your share $35.60",
    ):
        assert sentence in page


def test_a_clinician_sees_five_words_and_no_money_beside_a_question(desk: Desk) -> None:
    page = words(desk.read("/visit/c-ex0005"))
    assert "One thing left, then this visit can be billed" in page
    assert "The chart holds no diagnosis for this visit" in page
    assert "Not known yet" in page
    assert not any(word in page for word in ("CO-", "PR-", "277CA", "835", "Filing window"))
    assert "has decided this bill" in words(desk.read("/visit/c-ex0008"))
    assert "$35.60" in words(desk.read("/visit/c-ex0008"))


def test_a_held_bill_that_is_not_the_clinicians_is_being_prepared(desk: Desk) -> None:
    page = desk.read("/visit/c-ex0007")
    assert "Billing is completing this bill" in words(page)
    assert re.search(r'<li class="here[^"]*" aria-current="step">Being prepared', page)


def test_a_step_at_which_nobody_was_asked_is_not_drawn_as_passed(desk: Desk) -> None:
    steps = re.findall(r'<li class="([^"]*)"[^>]*>([^<]+)</li>', desk.read("/visit/c-ex0008"))
    assert [word for _, word in steps][-2:] == ["With the payer", "Paid"]
    assert "Needs you" not in [word for _, word in steps]
    assert "Needs you" in desk.read("/visit/c-ex0005")


def test_the_way_to_fix_is_offered_only_where_there_is_something_to_fix(desk: Desk) -> None:
    assert "E fix" in words(desk.read("/claims/C-EX0002")).split("Keys")[0]
    assert "E fix" not in words(desk.read("/claims/C-EX0008")).split("Keys")[0]
    assert "E fix" not in words(desk.read("/worklists/decided")).split("Keys")[0]


def test_a_claim_that_cannot_be_written_offers_its_fix_and_no_release(desk: Desk) -> None:
    page = words(desk.read("/claims/C-EX0005"))
    assert "It cannot be released as it is" in page
    assert "Release anyway" not in page
    assert "Fix and check again" in page


def test_a_rejection_for_the_npi_opens_with_the_npi() -> None:
    from dataclasses import replace

    from fhir_billing.cycle.views import Complaint
    from smart_app.desk.acts import guess_change

    claim = Desk().example.claim("C-EX0002")
    assert claim
    npi = Complaint(key="rejected", say="EXHUB rejected it (277CA A7:562:85)")
    assert guess_change(replace(claim, row=replace(claim.row, findings=(npi,)))) == "billing_npi"


def test_what_is_not_there_says_so_with_the_way_on(desk: Desk) -> None:
    for path in (
        "/claims/C-NONE",
        "/remittances/R-99",
        "/patients/nobody",
        "/worklists/nothing",
        "/visit/none",
        "/nowhere",
    ):
        assert "To Today" in words(desk.read(path, status=404))
