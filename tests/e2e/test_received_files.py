"""Files that payers really send: two kinds in one, the same set twice, take-backs of nothing, corrections in the wrong order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.partner import Receiver, Sender
from fhir_billing.domain.remittance import ClaimPayment, Remittance
from fhir_billing.x12.write_835 import write
from fhir_billing.x12.write_837 import Controls
from tests.e2e import charts
from tests.e2e.story import Story

NUMBER = iter(range(500, 10_000))


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Story, str]:
    """Ada's claim of 155.00, sent and not answered."""
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="story-s1", day="2026-03-02")
    ada = charts.finished(charts.chart("ada"))
    story.visit("Encounter/ada-visit", ada)
    story.send()
    return story, story.only_claim().number


def decision(claim: str, paid: int, *, status: str = "1", charge: int = 15500) -> ClaimPayment:
    return ClaimPayment(
        claim=claim, status=status, charge=charge, paid=paid, patient_family="ZZTEST", patient_given="ADA",
        adjustments=(Adjustment(group=Group.CO, reason="45", amount=charge - paid),) if charge != paid else (),
    )  # fmt: skip


def file_of(*payments: ClaimPayment, trace: str) -> bytes:
    number = next(NUMBER)
    remittance = Remittance(
        payer_id="1997807277", payer_name="Example Commercial Health", trace=trace, paid=sum(p.paid for p in payments),
        method="CHK", paid_on=date(2026, 3, 16), payee_npi="1234567893", payee_name="Example Family Clinic", claims=payments,
    )  # fmt: skip
    return write(
        [remittance], sender=Sender(id="EXC01", name="EXAMPLE"), receiver=Receiver(id="EXCLINIC01", name="EXAMPLE"),
        controls=Controls(interchange=number, group=number, set_start=number), at=datetime(2026, 3, 16, tzinfo=UTC),
    )  # fmt: skip


def test_an_835_and_a_277ca_in_one_file_are_both_worked(sent: tuple[Story, str]) -> None:
    story, ada = sent
    story.clock.to("2026-03-03", 15)
    status = next(w.body for w in story.wiring.channels["loopback"].fetch() if b"*277*" in w.body and b"A2" in w.body)
    found = story.receive("both.x12", status + file_of(decision(ada, 8600), trace="T1"))
    assert found.outcome == "posted", found.say
    assert any("277CA A2" in line for line in story.biography(ada))
    assert story.balances(ada) == {"CL": "86.00", "AC": "69.00"}


def test_the_same_set_twice_in_one_file_is_posted_once(sent: tuple[Story, str]) -> None:
    story, ada = sent
    one = file_of(decision(ada, 8600), trace="T1")
    two = one.replace(b"*000000500*", b"*000000499*") if b"000000500" in one else one
    found = story.receive("twice.835", one + two)
    assert found.outcome in {"posted", "quarantined"}
    if found.outcome == "posted":
        assert story.balances(ada) == {"CL": "86.00", "AC": "69.00"}
    else:  # two interchanges with one control number are refused by their envelope, whole
        assert story.balances(ada) == {"RP": "155.00"}
    assert "fault of ours" not in found.say


def test_one_trace_with_two_contents_in_one_file_is_doubted_and_posts_nothing(sent: tuple[Story, str]) -> None:
    story, ada = sent
    found = story.receive(
        "doubt.835", file_of(decision(ada, 8600), trace="T1") + file_of(decision(ada, 9600), trace="T1")
    )
    assert found.outcome == "quarantined"
    assert story.balances(ada) == {"RP": "155.00"}


def test_a_take_back_of_nothing_is_doubted(sent: tuple[Story, str]) -> None:
    story, ada = sent
    found = story.receive(
        "nothing.835", file_of(decision(ada, -8600, status="22", charge=-15500), decision(ada, 8600), trace="T2")
    )
    assert found.outcome == "posted", "decided and taken back in one file is a decision and its mirror"
    again = story.receive(
        "again.835",
        file_of(decision(ada, -9900, status="22", charge=-15500), decision("0", 9900, charge=9900), trace="T3"),
    )
    assert again.outcome == "quarantined"
    assert "no such decision" in again.say
    assert any("CLP" in complaint and ";" in complaint for complaint in again.complaints)


def test_a_correction_before_its_take_back_ends_decided(sent: tuple[Story, str]) -> None:
    story, ada = sent
    story.receive("first.835", file_of(decision(ada, 8600), trace="T1"))
    found = story.receive(
        "second.835", file_of(decision(ada, 9000), decision(ada, -8600, status="22", charge=-15500), trace="T2")
    )
    assert found.outcome == "posted", found.say
    assert story.state(ada) is State.PAID
    assert story.balances(ada) == {"CL": "90.00", "AC": "65.00"}
    assert story.replay_is_equal(story.folder)


def test_what_would_be_paid_is_no_decision(sent: tuple[Story, str]) -> None:
    story, ada = sent
    found = story.receive("pre.835", file_of(decision(ada, 0, status="25"), trace="T1"))
    assert found.outcome == "posted"
    assert story.balances(ada) == {"RP": "155.00"}
    assert story.state(ada) is State.SENT


def test_a_claim_that_a_gateway_rejected_and_the_payer_paid_is_paid(sent: tuple[Story, str]) -> None:
    story, ada = sent
    with story.wiring.store.begin() as book:
        from dataclasses import replace

        claim = book.claim(ada)
        assert claim is not None
        book.save_claim(replace(claim, state=State.REJECTED))
    assert story.receive("paid.835", file_of(decision(ada, 15500), trace="T1")).outcome == "posted"
    assert story.state(ada) is State.PAID
