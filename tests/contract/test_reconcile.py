"""Two EHRs nobody here wrote, with bells that never ring: the night finds what is missing, changed and gone, and it mends itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing import wiring as wired
from fhir_billing.cli import main
from fhir_billing.cycle.records import DifferenceRecord
from fhir_billing.domain.errors import EhrUnavailable
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr.connect import Ehr, EhrSettings, connect
from fhir_billing.worker import beat, nightly
from tests.contract.test_ehr import load
from tests.e2e.servers import settings_of
from tests.e2e.story import Story

BILLED = ("ada", "bo", "cy")


@pytest.fixture(params=["sekmet", "ci_ehr"])
def ehr(request: pytest.FixtureRequest) -> Ehr:
    found: Any = request.getfixturevalue(request.param)
    if request.param == "sekmet":
        return connect(EhrSettings(url=found.url))[0]
    return connect(settings_of(found))[0]


@pytest.fixture
def story(tmp_path: Path, ehr: Ehr) -> Iterator[Story]:
    """Three visits are closed, read and billed; the first night has been noted."""
    load(ehr.client)
    url = f"sqlite:///{tmp_path / 'book.db'}"
    story = Story(folder=tmp_path, database=url, scenario="story-s1", day="2026-03-02", ehr=(ehr, ehr))
    for name in BILLED:
        change(ehr, name, status="finished")
        story.rang(f"Encounter/{name}-visit")
    assert nightly.nightly(story.wiring) == 0
    yield story
    load(ehr.client)  # every visit is there and open again for whoever comes next


def change(ehr: Ehr, name: str, **more: Any) -> None:
    visit = ehr.client.read(f"Encounter/{name}-visit")
    ehr.client.update({**visit, **more}, version=visit["meta"]["versionId"])


def night(story: Story, day: str) -> int:
    """Three in the morning at the site, and what was found is worked."""
    story.clock.to(day, 10)
    found = nightly.nightly(story.wiring)
    beat.work(story.wiring)
    return found


def items(story: Story, *, only_open: bool = False) -> dict[str, DifferenceRecord]:
    with story.wiring.store.begin() as book:
        return {one.key: one for one in book.differences(only_open=only_open)}


def test_a_planted_difference_of_each_kind_opens_one_item_mends_itself_and_closes(
    story: Story, ehr: Ehr, tmp_path: Path
) -> None:
    assert night(story, "2026-03-03") == 0
    beat.answer_doorbells(story.wiring)
    change(ehr, "dee", status="finished")
    change(ehr, "bo", priority={"text": "the chart was touched again"})
    change(ehr, "cy", status="entered-in-error")
    assert night(story, "2026-03-03") == 0, "once a night"
    assert night(story, "2026-03-04") == 3
    planted = {"changed:Encounter/bo-visit", "gone:Encounter/cy-visit", "missing:Encounter/dee-visit"}
    assert set(items(story, only_open=True)) == planted
    assert beat.answer_doorbells(story.wiring) >= 3
    beat.work(story.wiring)
    assert items(story, only_open=True) == {}
    assert {one.closed_by for one in items(story).values()} == {"fhir-billing"}
    claims = {claim.encounter: claim.state for claim in story.claims().values()}
    assert claims["Encounter/cy-visit"] is State.VOIDED
    assert "Encounter/dee-visit" in claims
    with story.wiring.store.begin() as book:
        dee = book.visit("Encounter/dee-visit")
    assert dee is not None and dee.found_by == "reconcile"
    assert night(story, "2026-03-05") == 0
    assert set(items(story)) == planted
    assert story.replay_is_equal(tmp_path)


def test_a_difference_that_stays_is_one_item_over_three_nights_and_a_reason_closes_it(
    story: Story, ehr: Ehr, tmp_path: Path
) -> None:
    for related in ehr.client.search("ChargeItem", {"patient": "Patient/ada"}):
        ehr.client.request("DELETE", f"ChargeItem/{related['id']}")
    ehr.client.request("DELETE", "Encounter/ada-visit")
    for day in ("2026-03-03", "2026-03-04", "2026-03-05"):
        assert night(story, day) == 1
        beat.answer_doorbells(story.wiring)
        beat.work(story.wiring)
        assert [one.closed_at for one in items(story).values()] == [None]
    ((key, one),) = items(story).items()
    assert key == "gone:Encounter/ada-visit"
    assert "does not hold it any more" in one.say
    story.act("difference-close", difference=key, reason="Deleted by the test clinic; the bill stands")
    assert night(story, "2026-03-06") == 1
    assert items(story, only_open=True) == {}, "what a person closed is not opened for the same reason"
    assert story.replay_is_equal(tmp_path)


def test_a_charge_corrected_after_the_claim_left_becomes_a_proposal_although_its_visit_kept_its_version(
    story: Story, ehr: Ehr, tmp_path: Path
) -> None:
    story.send()
    sent = {claim.encounter: claim for claim in story.claims().values()}["Encounter/ada-visit"]
    assert sent.state is State.SENT
    charge = ehr.client.read("ChargeItem/ada-charge1")
    dearer = {**charge["priceOverride"], "value": 131}
    ehr.client.update({**charge, "priceOverride": dearer}, version=charge["meta"]["versionId"])
    assert night(story, "2026-03-03") == 0, "the visit itself is the same"
    assert beat.answer_doorbells(story.wiring) >= 1
    beat.work(story.wiring)
    with story.wiring.store.begin() as book:
        (one,) = book.proposals()
    assert one.claim == sent.number
    assert [(row["at"], row["was"], row["now"]) for row in one.fields] == [
        ("Claim.item[0].net", "$125.00", "$131.00"), ("Claim.total", "$155.00", "$161.00"),
    ]  # fmt: skip
    assert story.claims()[sent.number].resource == sent.resource
    assert story.replay_is_equal(tmp_path)


def test_an_ehr_that_is_down_is_asked_again_in_the_same_night(
    story: Story, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(ehr, "dee", status="finished")

    def down(*_: object) -> None:
        raise EhrUnavailable("the EHR does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(Ehr, "visits", down)
        assert night(story, "2026-03-03") == 0
    story.clock.to("2026-03-03", 10)
    assert nightly.nightly(story.wiring) == 0, "not at once"
    assert night(story, "2026-03-03") == 0
    story.clock.to("2026-03-03", 11)
    assert nightly.nightly(story.wiring) == 1


def test_the_command_prints_what_differs_and_says_so_by_its_exit_code(
    story: Story, ehr: Ehr, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story.clock.to("2026-03-05")
    monkeypatch.setattr(wired, "wire", lambda *_: story.wiring)
    monkeypatch.setattr("fhir_billing.cli.opening.wire", lambda *_: story.wiring)
    assert main(["reconcile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []
    change(ehr, "dee", status="finished")
    changed_at = ehr.client.read("Encounter/dee-visit")["meta"]["lastUpdated"]
    with monkeypatch.context() as just:
        just.setattr(type(story.clock), "now", lambda _: datetime.fromisoformat(changed_at) + timedelta(minutes=1))
        assert main(["reconcile", "--since", "2026-03-01", "--json"]) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["fresh"] >= 1
        assert "too fresh to judge (changed in the last 10 minutes)" in said.err
    assert main(["reconcile", "--since", "2026-03-01"]) == 1
    assert "missing" in capsys.readouterr().out
    story.wiring.__dict__["ehr"] = None
    assert main(["reconcile"]) == 3
