"""What a person does is posted once, with a name, a token and the facts that its message needs."""

from __future__ import annotations

import csv
import io

import pytest

from fhir_billing.domain.errors import SecretMissing
from fhir_billing.domain.lifecycle import MOVES, Event, State
from smart_app.app import create_app
from smart_app.desk.acts import acts_for
from smart_app.desk.worklists import sheet
from smart_app.example import Example
from smart_app.face import FaceSettings, back
from smart_app.sign_in import may_enter
from tests.unit.smart_app.desk import Desk, field, words


@pytest.fixture
def desk() -> Desk:
    return Desk().sign_in()


def test_nobody_reads_anything_before_signing_in() -> None:
    stranger = Desk()
    for path in ("/", "/claims/C-EX0001", "/patients/zzte-jo", "/raw/23", "/live", "/worklists/all.csv", "/gallery"):
        answer = stranger.http.get(path, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=/")


def test_the_demo_user_exists_only_in_the_demo() -> None:
    real = Desk(demo=False)
    page = real.http.get("/sign-in").text
    assert "Bea Biller" not in page
    answer = real.http.post("/sign-in/demo", data={"csrf": "x"})
    assert answer.status_code == 403
    assert real.http.get("/gallery", follow_redirects=False).status_code == 404


def test_staff_sign_in_needs_a_session_secret() -> None:
    example = Example()
    with pytest.raises(SecretMissing):
        create_app(example, example, FaceSettings(oidc_issuer="https://sign.example"))


def test_a_form_without_this_sessions_token_does_nothing(desk: Desk) -> None:
    answer = desk.http.post("/claims/C-EX0005/release", data={"reason": "because", "csrf": "another", "key": "k"})
    assert answer.status_code == 403
    assert desk.example.acted == []


def test_a_release_carries_its_reason_and_the_forms_own_key(desk: Desk) -> None:
    page = desk.read("/claims/C-EX0005")
    status, after = desk.post("/claims/C-EX0005/release", page, reason="The chart will follow")
    assert status == 200
    assert "C-EX0005: released" in words(after)
    [(kind, facts, who, key)] = desk.example.acted
    assert (kind, facts, who) == ("release", {"claim": "C-EX0005", "reason": "The chart will follow"}, "Bea Biller")
    assert key == field(page, "key")
    desk.post("/claims/C-EX0005/release", page, reason="The chart will follow")
    assert len(desk.example.acted) == 1, "a second click does nothing more"


def test_a_correction_names_what_it_changes(desk: Desk) -> None:
    desk.post("/claims/C-EX0002/correct", desk.read("/claims/C-EX0002"), change="member_id", value="EX0002 01")
    assert desk.example.acted[0][1] == {"claim": "C-EX0002", "changes": {"member_id": "EX0002 01"}}


def test_an_appeal_says_its_level_and_its_packet(desk: Desk) -> None:
    desk.post(
        "/claims/C-EX0009/appeal",
        desk.read("/claims/C-EX0009"),
        reason="It was authorized",
        level="1",
        packet="letter, visit note",
    )
    facts = desk.example.acted[0][1]
    assert facts["level"] == 1
    assert facts["packet"] == ["letter", "visit note"]


def test_a_refused_act_keeps_what_was_typed_and_says_why(desk: Desk) -> None:
    desk.example.refuse = "the appeal window closed"
    status, page = desk.post(
        "/claims/C-EX0009/appeal", desk.read("/claims/C-EX0009"), reason="It was authorized", level="2", packet=""
    )
    assert status == 422
    assert "the appeal window closed; look at the claim again" in words(page)
    assert "It was authorized" in page


@pytest.mark.parametrize("amount", ["", "-5", "0", "12.345", "abc", "1e9", "99999999"])
def test_a_payment_that_is_no_amount_is_never_kept(desk: Desk, amount: str) -> None:
    status, _ = desk.post(
        "/patients/zzte-jo/pay", desk.read("/patients/zzte-jo"), claim="C-EX0008", amount=amount, how="cash"
    )
    assert status == 422
    assert desk.example.acted == []


def test_a_payment_is_entered_from_the_patients_page(desk: Desk) -> None:
    status, page = desk.post(
        "/patients/zzte-jo/pay", desk.read("/patients/zzte-jo"), claim="C-EX0008", amount="$1,035.60", how="cash"
    )
    assert status == 200
    assert "Payment entered on C-EX0008" in words(page)
    assert desk.example.acted[0][1] == {"claim": "C-EX0008", "amount": "1035.60", "how": "cash"}


def test_a_quarantined_message_can_be_tried_again(desk: Desk) -> None:
    status, page = desk.post("/quarantine/23/retry", desk.read("/quarantine"))
    assert status == 200
    assert desk.example.retried == [23]
    assert "tried again" in words(page)


def test_an_act_has_a_button_only_where_the_lifecycle_allows_it() -> None:
    example = Example()
    events = {
        "release": Event.RELEASE,
        "hold": Event.HOLD,
        "withdraw": Event.WITHDRAW,
        "correct": Event.CORRECT,
        "answer": Event.ANSWER,
        "appeal": Event.APPEAL,
    }
    for row in example.claims():
        claim = example.claim(row.number)
        assert claim
        offered = {act.kind for act in acts_for(claim)}
        for kind, event in events.items():
            if kind in offered:
                assert (row.state, event) in MOVES, (row.number, kind)
        if row.state is State.REJECTED:
            assert "appeal" not in offered, "a rejected claim was never read, so there is nothing to appeal"


def test_one_filled_button_is_in_view(desk: Desk) -> None:
    page = desk.read("/claims/C-EX0002")
    assert page.count('<summary class="btn do">') == 1


def test_a_search_is_posted_and_leaves_no_name_in_the_address(desk: Desk) -> None:
    answer = desk.http.post(
        "/find", data={"csrf": field(desk.read("/find"), "csrf"), "words": "zztest"}, follow_redirects=False
    )
    assert answer.status_code == 200
    assert "Zztest, Jo" in answer.text
    assert not any("zztest" in about.lower() for _, _, about in desk.example.audited)
    exact = desk.http.post(
        "/find", data={"csrf": field(desk.read("/find"), "csrf"), "words": "c-ex0008"}, follow_redirects=False
    )
    assert exact.headers["location"] == "/claims/C-EX0008"


def test_an_export_has_numbers_as_numbers_and_no_formula(desk: Desk) -> None:
    answer = desk.http.get("/worklists/all.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["charge"] for row in rows if row["claim"] == "C-EX0008"} == {"335.00"}
    assert "Zztest" not in answer.headers["content-disposition"]
    from dataclasses import replace

    evil = replace(desk.example.claims()[0], patient_name="=HYPERLINK(1)")
    assert "'=HYPERLINK(1)" in sheet([evil])


def test_filters_narrow_and_sorts_turn(desk: Desk) -> None:
    page = words(desk.read("/worklists/all?payer=EXH&group=none"))
    assert "3 claims" in page
    assert "No claim fits these filters" in words(desk.read("/worklists/held?payer=EXC01"))
    up, down = (desk.read(f"/worklists/all?sort=charge{turn}&group=none") for turn in ("", "&down=1"))
    assert up.index("C-EX0010") < up.index("C-EX0009")
    assert down.index("C-EX0009") < down.index("C-EX0010")


def test_markup_in_a_name_stays_text(desk: Desk) -> None:
    from dataclasses import replace

    row = desk.example._rows["C-EX0010"]
    desk.example._rows["C-EX0010"] = replace(row, patient_name="<img src=x onerror=alert(1)>")
    page = desk.read("/worklists/all")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_way_back_never_leads_to_another_site() -> None:
    assert back("//evil.example") == "/"
    assert back("https://evil.example") == "/"
    assert back("/\\evil.example") == "/"
    assert back("/claims/C-1") == "/claims/C-1"


def test_live_counts_say_what_the_navigation_says(desk: Desk) -> None:
    news = desk.http.get("/live?list=rejected").json()
    assert news["counts"]["/worklists/rejected"] == "3"
    assert news["stamp"] in desk.read("/worklists/rejected")


def test_a_deposit_is_entered_where_the_money_is_awaited(desk: Desk) -> None:
    status, page = desk.post("/books/deposit", desk.read("/books"), trace="8831042207", payer="EXC01", amount="232.52")
    assert status == 200
    assert "The deposit for 8831042207 is entered" in words(page)
    assert desk.example.acted[0][:2] == ("deposit", {"trace": "8831042207", "amount": "232.52", "payer": "EXC01"})
    assert desk.post("/books/deposit", desk.read("/books"), trace="8831042207", amount="nothing")[0] == 422


@pytest.mark.parametrize(
    ("person", "allowed", "may"),
    [
        ({"email": "bea@example.com"}, "", True),
        ({"sub": "1"}, "", True),
        ({"email": "Bea@Example.com"}, "@example.com", True),
        ({"email": "bea@example.com"}, "ann@example.com, bea@example.com", True),
        ({"email": "eve@example.com"}, "ann@example.com", False),
        ({"email": "eve@example.com.evil.example"}, "example.com", False),
        ({"email": "bea@example.com", "email_verified": False}, "example.com", False),
        ({"sub": "1"}, "example.com", False),
    ],
)
def test_only_those_who_are_allowed_come_in(person: dict[str, object], allowed: str, may: bool) -> None:
    assert may_enter(person, allowed) is may
