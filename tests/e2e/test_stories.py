"""Five stories of the revenue cycle, to the cent at every step, on SQLite and on Postgres, with the payer simulator behind its channel.

Short names: RP payer's receivable, RD in dispute, PT patient's receivable, CL clearing, BK bank, AC contractual, UN unapplied.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.domain.lifecycle import MOVES, Event, State
from fhir_billing.ehr.connect import EhrSettings, connect
from tests.conftest import Sekmet
from tests.e2e import charts
from tests.e2e.servers import told
from tests.e2e.story import Story

Resources = list[dict[str, Any]]


@pytest.fixture
def database(each_database: str) -> str:
    """A new store."""
    return each_database


def begin(tmp_path: Path, database: str, scenario: str, day: str = "2026-03-02") -> Story:
    """An installation with its clock on the day of the visit."""
    return Story(folder=tmp_path, database=database, scenario=scenario, day=day)


def closed(story: Story, name: str, resources: Resources | None = None) -> str:
    """A visit is closed and read; the number of its claim."""
    chart = charts.finished(resources or charts.chart(name))
    story.visit(charts.encounter_of(chart), chart)
    return next(number for number, claim in story.claims().items() if claim.encounter == charts.encounter_of(chart))


def repriced(name: str, prices: dict[str, str]) -> Resources:
    """A chart whose charges cost something else."""
    from decimal import Decimal

    chart = copy.deepcopy(charts.chart(name))
    for resource in chart:
        if resource["resourceType"] == "ChargeItem":
            code = resource["code"]["coding"][0]["code"]
            resource["priceOverride"]["value"] = Decimal(prices.get(code, str(resource["priceOverride"]["value"])))
    return chart


def test_s1_a_clean_claim_goes_from_visit_to_zero_balance(tmp_path: Path, database: str) -> None:
    story = begin(tmp_path, database, "story-s1")
    ada = closed(story, "ada")
    assert story.state(ada) is State.READY
    assert story.balances(ada) == {}

    story.act("pay", claim=ada, amount="20.00", how="tapped at the desk")
    assert story.balances(ada) == {"BK": "20.00", "UN": "-20.00"}

    story.send()
    assert story.state(ada) is State.SENT
    assert story.balances(ada) == {"BK": "20.00", "UN": "-20.00", "RP": "155.00"}

    story.collect()  # 999 A and 277CA A1 on the day
    assert story.state(ada) is State.RECEIVED
    assert story.balances(ada)["RP"] == "155.00"

    story.clock.to("2026-03-03", 15)
    story.collect()  # A2
    assert story.state(ada) is State.ACCEPTED
    assert story.balances(ada) == {"BK": "20.00", "UN": "-20.00", "RP": "155.00"}

    story.clock.to("2026-03-16", 15)
    story.collect()  # the remittance
    assert story.state(ada) is State.PAID
    assert story.balances(ada) == {"CL": "86.00", "BK": "20.00", "AC": "49.00"}

    with story.wiring.store.begin() as book:
        (remittance,) = book.remittances()
    assert remittance.paid == 8600
    assert story.act("deposit", trace=remittance.trace, amount="86.00", payer="EXC01").startswith("done")
    assert story.balances(ada) == {"BK": "106.00", "AC": "49.00"}
    assert story.state(ada) is State.CLOSED
    assert not story.worklist(State.HELD, State.REJECTED, State.DENIED)
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def test_s2_a_rejected_claim_is_mended_and_sent_again_and_was_never_denied(tmp_path: Path, database: str) -> None:
    story = begin(tmp_path, database, "story-s2")
    bo = closed(story, "bo")
    ada = closed(story, "ada")
    story.send()
    story.collect()  # the 999 rejects the set, and so both claims in it
    assert story.worklist(State.REJECTED) == {bo, ada}
    assert story.balances(bo) == {"RP": "187.50"}
    journals = _journals(story)
    assert (State.REJECTED, Event.APPEAL) not in MOVES

    story.clock.to("2026-03-07")
    assert story.act("correct", claim=bo, reason="address mended").startswith("done")
    assert story.state(bo) is State.READY
    story.send()
    story.collect()  # 277CA A7:562:85
    assert story.state(bo) is State.REJECTED
    assert any("A7:562:85" in line for line in story.biography(bo))
    assert story.balances(bo) == {"RP": "187.50"}
    assert _journals(story) == journals, "a rejection posts nothing, and the charge is asked for once"

    story.clock.to("2026-03-14")
    story.act("correct", claim=bo, changes={"billing_npi": "1888888884"}, reason="NPI mended")
    story.send()
    story.collect()
    assert story.state(bo) is State.ACCEPTED
    claim = story.claims()[bo]
    assert claim.file_by is not None
    assert (claim.file_by - story.wiring.site.local(story.clock.now())).days == 78
    assert claim.attempt == 3
    assert len(set(_controls(story, bo))) == 3, "a new attempt has new control numbers"

    story.clock.to("2026-03-28", 15)
    story.collect()
    assert story.balances(bo) == {"CL": "150.00", "AC": "37.50"}
    _deposit_all(story)
    assert story.balances(bo) == {"BK": "150.00", "AC": "37.50"}
    states = {line.partition(": ")[2] for line in story.biography(bo)}
    assert not any("denied" in line for line in states)
    assert story.replay_is_equal(tmp_path)


def test_s3_a_denied_claim_is_appealed_and_won(tmp_path: Path, database: str) -> None:
    story = begin(tmp_path, database, "story-s3")
    cy = closed(story, "cy")
    story.send()
    story.collect()
    story.clock.to("2026-03-16", 15)
    story.collect()
    assert story.state(cy) is State.DENIED
    assert story.balances(cy) == {"RD": "1240.00"}
    claim = story.claims()[cy]
    assert claim.due is not None
    assert (claim.due - story.wiring.site.local(story.clock.now())).days == 180

    assert story.act("appeal", claim=cy).startswith("quarantined"), "an appeal needs a reason"
    story.act("appeal", claim=cy, reason="AUTH-0007 was in force", packet=["authorization.pdf", "note.pdf"])
    assert story.state(cy) is State.APPEALED

    story.clock.to("2026-04-16", 15)
    story.collect()  # 22, then the corrected claim
    assert story.state(cy) is State.PAID
    assert story.balances(cy) == {"CL": "488.00", "AC": "630.00", "PT": "122.00"}
    _deposit_all(story)
    story.act("pay", claim=cy, amount="122.00", how="card")
    assert story.balances(cy) == {"BK": "610.00", "AC": "630.00"}
    assert story.state(cy) is State.CLOSED
    assert story.replay_is_equal(tmp_path)


def test_s5_a_take_back_opens_a_closed_claim_and_the_patient_is_not_billed(tmp_path: Path, database: str) -> None:
    story = begin(tmp_path, database, "story-s5")
    eli = closed(story, "eli")
    story.act("pay", claim=eli, amount="25.00", how="copay")
    story.send()
    story.collect()
    story.clock.to("2026-03-16", 15)
    story.collect()
    _deposit_all(story)
    assert story.state(eli) is State.CLOSED
    assert story.balances(eli) == {"BK": "142.00", "AC": "78.00"}

    story.clock.to("2026-07-02")
    other_chart = repriced("pat", {"99214": "410.00"})
    for resource in other_chart:  # its visit is in July
        if resource["resourceType"] == "Encounter":
            resource["period"] = {"start": "2026-07-01T09:30:00-04:00", "end": "2026-07-01T10:00:00-04:00"}
        if resource["resourceType"] == "ChargeItem":
            resource["occurrenceDateTime"] = "2026-07-01T09:50:00-04:00"
    other = closed(story, "pat", other_chart)
    story.send()
    story.collect()
    story.clock.to("2026-07-17", 15)
    story.collect()
    assert story.balances(other) == {"CL": "300.00", "AC": "110.00"}
    assert story.state(eli) is State.DENIED
    assert story.balances(eli) == {"CL": "-117.00", "RD": "220.00", "UN": "-25.00", "BK": "142.00"}

    _deposit_all(story)  # 183.00: the other claim's 300.00 less what was taken back
    assert story.balances(eli) == {"RD": "220.00", "UN": "-25.00", "BK": "25.00"}
    assert "PT" not in story.balances(eli), "the patient is not billed for a take-back"

    found = story.act(
        "other-coverage", claim=eli, payer="EXC02", payer_name="Example Mutual Benefit", member_id="EX200005"
    )
    assert found.startswith("done"), found
    again = f"{eli}-B"
    assert story.state(eli) is State.CLOSED
    assert story.balances(eli, again) == {"RP": "220.00", "UN": "-25.00", "BK": "25.00"}
    story.send()
    story.collect()
    story.clock.to("2026-08-02", 15)
    story.collect()
    _deposit_all(story)
    assert story.balances(eli, again) == {"BK": "130.00", "AC": "90.00"}
    assert story.state(again) is State.CLOSED
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def test_s13_the_same_remittance_by_three_routes_is_posted_once_and_a_changed_one_is_doubted(
    tmp_path: Path, database: str
) -> None:
    story = begin(tmp_path, database, "story-s1")
    ada = closed(story, "ada")
    story.act("pay", claim=ada, amount="20.00", how="tapped at the desk")
    story.send()
    story.collect()
    story.clock.to("2026-03-16", 15)
    story.collect()
    body = _remittance_bytes(story)
    _deposit_all(story)
    before = story.balances(ada)
    assert before == {"BK": "106.00", "AC": "49.00"}

    assert story.receive("again.835", body, channel="sftp").outcome == "duplicate"
    assert story.receive("by-hand.835", body, channel="upload").outcome == "duplicate"
    folded = body.replace(b"~\n", b"~").replace(b"~", b"~\r\n")
    assert folded != body
    assert story.receive("other-line-breaks.835", folded, channel="upload").outcome == "duplicate"
    with story.wiring.store.begin() as book:
        (first,) = [r for r in book.remittances() if r.status == "posted"]
        assert [a.channel for a in book.arrivals(first.message)] == ["loopback", "sftp", "upload"]

    changed = body.replace(b"BPR*I*86*", b"BPR*I*96*").replace(b"*125*68*", b"*125*78*")
    changed = changed.replace(b"CLP*" + ada.encode() + b"*1*155*86*", b"CLP*" + ada.encode() + b"*1*155*96*").replace(
        b"CAS*CO*45*37", b"CAS*CO*45*27"
    )
    assert changed != body
    doubt = story.receive("changed.835", changed, channel="upload")
    assert doubt.outcome == "quarantined"
    assert "86.00" in doubt.say
    assert "96.00" in doubt.say
    assert story.balances(ada) == before
    assert story.replay_is_equal(tmp_path)


def test_a_real_ehr_is_read_when_it_rings_and_holds_what_became_of_the_visit(
    tmp_path: Path, sekmet_smart: Sekmet
) -> None:
    from fhir_billing.ehr.write import find
    from fhir_billing.worker import beat

    assert sekmet_smart.key is not None
    reader, writer = connect(
        EhrSettings(url=sekmet_smart.url, client_id=sekmet_smart.client, key=sekmet_smart.key, scopes="system/*.cruds")
    )
    for name in ("clinic", "ada"):
        reader.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    story = Story(
        folder=tmp_path,
        database=f"sqlite:///{tmp_path / 'book.db'}",
        scenario="story-s1",
        day="2026-03-02",
        ehr=(reader, writer),
    )
    story.rang("Encounter/ada-visit")
    assert story.claims() == {}, "the doorbell says closed, the EHR says open: the EHR is believed"

    visit = reader.client.read("Encounter/ada-visit")
    reader.client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    assert beat.ring(story.wiring) == 1, "the poll finds what no hook told of"
    beat.answer_doorbells(story.wiring)
    beat.work(story.wiring)
    claim = story.only_claim()
    assert claim.state is State.READY
    story.send()
    story.collect()
    story.clock.to("2026-03-16", 15)
    story.collect()
    beat.relay(story.wiring)

    task = find(reader.client, "Task", claim.number)
    assert task is not None
    assert task["businessStatus"]["coding"][0]["code"] == "adjudicated"
    held = find(reader.client, "Claim", claim.number)
    assert held is not None
    assert task["focus"]["reference"] == f"Claim/{held['id']}"
    response = find(reader.client, "ClaimResponse", claim.number)
    benefit = find(reader.client, "ExplanationOfBenefit", claim.number)
    assert response is not None
    assert benefit is not None
    assert response["outcome"] == "complete"
    assert str(benefit["payment"]["amount"]["value"]) in {"86.00", "86.0", "86"}

    version = task["meta"]["versionId"]
    with story.wiring.store.begin() as book:
        from fhir_billing.cycle.turn import Turn
        from fhir_billing.cycle.write_back import resources

        message = book.message(1)
        assert message is not None
        again = resources(
            Turn(book=book, message=message, site=story.wiring.site), claim=story_claim(book, claim.number)
        )
    told(reader.client, again)
    unchanged = find(reader.client, "Task", claim.number)
    assert unchanged is not None
    assert unchanged["meta"]["versionId"] == version, "what did not change is not written"


def story_claim(book: Any, number: str) -> Any:
    """The claim's record."""
    return book.claim(number)


def _journals(story: Story) -> int:
    with story.wiring.store.begin() as book:
        return len(book.journals())


def _controls(story: Story, number: str) -> list[str]:
    with story.wiring.store.begin() as book:
        return [envelope.interchange for envelope in book.envelopes(claim=number)]


def _deposit_all(story: Story) -> None:
    """The bank shows every deposit that was announced."""
    from fhir_billing.domain.money import show

    with story.wiring.store.begin() as book:
        traces = {r.trace: sum(book.clearing(r.trace).values()) for r in book.remittances() if r.status == "posted"}
    for trace, amount in traces.items():
        if amount > 0:
            said = story.act("deposit", trace=trace, amount=show(amount), payer="the payer")
            assert said.startswith("done"), said


def _remittance_bytes(story: Story) -> bytes:
    with story.wiring.store.begin() as book:
        (remittance,) = book.remittances()
        message = book.message(remittance.message)
    assert message is not None
    return message.body


def test_a_patient_with_a_second_plan_is_not_billed_before_that_plan_has_answered(tmp_path: Path) -> None:
    story = begin(tmp_path, f"sqlite:///{tmp_path / 'book.db'}", "demo")
    dee = closed(story, "dee")
    story.send()
    story.collect()
    assert story.state(dee) is State.PAID
    assert story.balances(dee) == {"CL": "78.40", "AC": "51.60", "RP": "20.00"}
    assert any("waits for the next plan, EXC02" in line for line in story.biography(dee))


def test_a_person_cannot_send_a_bill_somewhere_else_or_under_another_number(tmp_path: Path) -> None:
    story = begin(tmp_path, f"sqlite:///{tmp_path / 'book.db'}", "demo")
    quinn = closed(story, "quinn")
    for changes in (
        {"payer": "../../etc"},
        {"number": "C-EVIL"},
        {"authorization": "A*B~ISA*00"},
        {"modifiers.1": "!!"},
    ):
        assert story.act("correct", claim=quinn, changes=changes).startswith("quarantined"), changes
    assert story.state(quinn) is State.HELD
    assert story.act("correct", claim=quinn, changes={"patient_zip": "99999"}).startswith("done")
    assert story.state(quinn) is State.READY


def test_a_payer_that_no_file_describes_is_sent_nothing(tmp_path: Path) -> None:
    story = begin(tmp_path, f"sqlite:///{tmp_path / 'book.db'}", "demo")
    cy = closed(story, "cy")
    story.send()
    story.collect()
    assert story.state(cy) is State.DENIED
    assert "no other payer of this site" in story.act("other-coverage", claim=cy, payer="NOPE", member_id="X1")
    assert story.state(cy) is State.DENIED
    assert set(story.claims()) == {cy}


def test_a_denial_that_is_given_up_is_nobodys_work_any_more(tmp_path: Path) -> None:
    story = begin(tmp_path, f"sqlite:///{tmp_path / 'book.db'}", "demo")
    jo = closed(story, "jo")
    story.send()
    story.collect()
    assert story.balances(jo)["RD"] == "125.00"
    story.act("give-up", claim=jo, reason="too old to fight")
    assert story.state(jo) is State.CLOSED
    assert "RD" not in story.balances(jo)
    assert story.balances(jo)["AD"] == "125.00"
    assert story.act("appeal", claim=jo, reason="second thoughts").startswith("quarantined")
