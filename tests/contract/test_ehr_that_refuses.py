"""An EHR that forbids for an hour, knows our key no longer, or has lost its charts for a while loses us no visit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from fhir_billing.cli.doctor import _bells
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Kind, OutboxRecord, Outcome
from fhir_billing.domain.errors import ScopeMissing, TokenRefused
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import quirks
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import UserEhr
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.ways import Ways
from fhir_billing.store.views import SqlViews
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat, ringing
from tests.contract.lying_ehr import LyingEhr
from tests.e2e import charts
from tests.e2e.story import Story

DEE = "Encounter/dee-visit"


@dataclass
class Door:
    """What the EHR says to everything; 0 when it answers as it should."""

    status: int = 0

    def __call__(self, url: str) -> httpx2.Response | None:
        return httpx2.Response(self.status) if self.status else None


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def story(tmp_path: Path, door: Door) -> Story:
    ehr = UserEhr(LyingEhr(*charts.finished(charts.chart("dee")), lie=door).client(), quirks.named("plain"))
    return Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="story-s1", day="2026-03-02",
                 ehr=(ehr, ehr))  # fmt: skip


def rings(story: Story) -> None:
    ringing.rang(story.wiring, Sighting(encounter=DEE, version="2"), found_by="hook")


def hour(story: Story, minutes: int = 60) -> None:
    for _ in range(minutes // 5):
        story.clock.time += timedelta(minutes=5)
        beat.answer_doorbells(story.wiring)
        beat.work(story.wiring)


def say(story: Story) -> str:
    (row,) = SqlViews(story.wiring.store, story.wiring.site).in_vain()
    return row.say


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "refuses GET Encounter"), (401, "refuses GET"), (404, "nothing there")]
)
def test_a_visit_that_is_refused_for_an_hour_waits_with_its_reason_and_is_read(
    story: Story, door: Door, status: int, reason: str
) -> None:
    assert _bells(story.wiring) == "no visit waits to be read again"
    door.status = status
    rings(story)
    hour(story)
    assert story.wiring.store.waiting_counts() == {"doorbells": 1, "messages": 0, "quarantined": 0, "parcels": 0}
    assert reason in say(story)
    assert reason in _bells(story.wiring)
    door.status = 0
    hour(story, 20)
    assert story.only_claim().state is State.READY
    assert _bells(story.wiring) == "no visit waits to be read again"


def test_a_visit_that_nobody_has_for_a_day_is_shown_to_a_person(story: Story, door: Door) -> None:
    door.status = 404
    rings(story)
    hour(story, 26 * 60)
    (bell,) = story.wiring.store.doorbells_by("hook")
    assert bell.outcome is Outcome.QUARANTINED
    assert bell.findings[0]["key"] == "not-there"


def test_a_refused_visit_is_asked_for_ever_more_seldom(story: Story, door: Door) -> None:
    door.status = 403
    rings(story)
    hour(story)
    (bell,) = story.wiring.store.doorbells(story.clock.now() + timedelta(days=1))
    assert 5 <= bell.attempts <= 13


def test_a_stranger_is_not_followed_however_long_it_waits(story: Story) -> None:
    story.wiring.store.keep(Kind.DOORBELL, "x", b"{}", at=story.clock.now(), channel="hook", who=ringing.STRANGER)
    beat.answer_doorbells(story.wiring)
    assert story.wiring.store.waiting_counts()["quarantined"] == 1


@dataclass
class Keys:
    """A bearer that has a new token whenever the last one was refused, or never another one."""

    renews: bool = True
    count: int = 1
    granted: frozenset[str] = field(default_factory=frozenset)

    def value(self) -> str:
        return f"t{self.count}"

    def forget(self, token: str = "") -> None:
        self.count += self.renews


@pytest.mark.parametrize(("renews", "error"), [(True, TokenRefused), (False, ScopeMissing)])
def test_an_ehr_that_takes_no_fresh_token_says_nothing_of_what_was_asked(renews: bool, error: type[Exception]) -> None:
    carried: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        carried.append(request.headers["authorization"])
        return httpx2.Response(401)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = FhirClient("https://ehr.example/fhir", http, Keys(renews))
    with pytest.raises(error):
        client.create({"resourceType": "Task"})
    assert carried == ["Bearer t1", "Bearer t2" if renews else "Bearer t1"]


class RefusesWrites:
    """A chart that may be read, and for a while not written."""

    refuses = True

    def write_back(self, parcel: OutboxRecord) -> str:
        if self.refuses:
            raise ScopeMissing("the EHR refuses POST Task (403)")
        return "Task created"


def test_a_chart_that_may_not_be_written_for_an_hour_is_told_after_it(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RefusesWrites()
    monkeypatch.setattr(Wiring, "teller", writer)
    rings(story)
    hour(story, 5)
    for _ in range(12):
        story.clock.time += timedelta(minutes=5)
        beat.relay(story.wiring)
    assert story.wiring.store.waiting_counts()["parcels"] == 1
    writer.refuses = False
    story.clock.time += timedelta(minutes=20)
    beat.relay(story.wiring)
    assert story.wiring.store.waiting_counts()["parcels"] == 0


def test_what_an_ehr_could_before_it_forbade_it_is_asked_of_it_again(door: Door) -> None:
    chart = charts.finished(charts.chart("dee"))
    ehr = LyingEhr(*chart, lie=door, batch=True)
    client = ehr.client(Ways(includes=False))
    gather(client, DEE)
    asked = len(ehr.asked)
    ehr.forbids_batch = True
    gather(client, DEE)
    ehr.forbids_batch = False
    before = len(ehr.asked)
    gather(client, DEE)
    assert len(ehr.asked) - before == asked
