"""A bell says which version rang; what is read may be older, and a storm of bells keeps nothing else from being worked."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cycle.ports import Sighting, Trigger
from fhir_billing.cycle.records import Kind
from fhir_billing.worker import ringing
from fhir_billing.worker.beat import beat
from tests.e2e import charts
from tests.e2e.story import Story


class Chart:
    """A chart whose copy may lag behind."""

    def __init__(self) -> None:
        self.visits: dict[str, list[dict[str, Any]]] = {}
        self.reads = 0

    def put(self, name: str, *, version: str, status: str) -> None:
        resources = copy.deepcopy(charts.chart(name))
        for one in resources:
            if one["resourceType"] == "Encounter":
                one |= {"status": status, "meta": {"versionId": version}}
        self.visits[charts.encounter_of(resources)] = resources

    def gather(self, encounter: str) -> list[dict[str, Any]]:
        self.reads += 1
        return copy.deepcopy(self.visits[encounter])

    def triggers(self, remembered: object = None) -> list[Trigger]:
        return []

    def sight(self, encounter: str) -> Sighting | None:
        return None


@pytest.fixture
def chart() -> Chart:
    return Chart()


@pytest.fixture
def story(tmp_path: Path, chart: Chart) -> Story:
    database = f"sqlite:///{tmp_path / 'book.db'}"
    made = Story(folder=tmp_path, database=database, scenario="story-s1", day="2026-03-02", ehr=(chart, chart))
    made.wiring.settings.ehr_write_back = False
    return made


def rings(story: Story, *sightings: Sighting) -> None:
    ringing.all_rang(story.wiring, sightings, found_by="hook")


def test_a_close_that_a_lagging_copy_does_not_show_yet_is_read_again_until_it_does(story: Story, chart: Chart) -> None:
    chart.put("dee", version="1", status="in-progress")
    rings(story, Sighting(encounter="Encounter/dee-visit", version="2"))
    beat(story.wiring)
    assert not story.claims()
    assert story.wiring.store.waiting_counts()["doorbells"] == 1, "it waits"
    chart.put("dee", version="2", status="finished")
    story.clock.time += timedelta(minutes=1)
    beat(story.wiring)
    assert story.only_claim().encounter == "Encounter/dee-visit"


def test_a_visit_that_stays_behind_what_rang_is_taken_as_it_is_in_the_end(story: Story, chart: Chart) -> None:
    chart.put("dee", version="a", status="in-progress")
    rings(story, Sighting(encounter="Encounter/dee-visit", version="b"))
    for _ in range(20):
        story.clock.time += timedelta(minutes=5)
        beat(story.wiring)
    assert story.wiring.store.waiting_counts()["doorbells"] == 0
    assert chart.reads == ringing.CATCH_UP + 1


def test_a_later_version_than_what_rang_is_news_and_not_behind(story: Story, chart: Chart) -> None:
    chart.put("dee", version="10", status="in-progress")
    rings(story, Sighting(encounter="Encounter/dee-visit", version="9"))
    beat(story.wiring)
    assert story.wiring.store.waiting_counts()["doorbells"] == 0


def test_a_storm_of_bells_lets_a_claim_leave_in_between(story: Story, chart: Chart) -> None:
    for encounter, resources in charts.many_visits(2 * ringing.MOST_AT_ONCE):
        chart.visits[encounter] = resources
    rings(story, *(Sighting(encounter=encounter) for encounter in chart.visits))
    beat(story.wiring)
    assert chart.reads == ringing.MOST_AT_ONCE, "the rest waits for the next beat"
    with story.wiring.store.looking() as book:
        assert book.envelopes(), "a claim has left while bells wait"
    beat(story.wiring)
    assert len(story.claims()) == 2 * ringing.MOST_AT_ONCE


def test_ten_thousand_bells_of_one_notification_are_kept_in_a_moment(story: Story) -> None:
    rings(story, *(Sighting(encounter=f"Encounter/e{n}", version="1") for n in range(10_000)))
    rings(story, *(Sighting(encounter=f"Encounter/e{n}", version="1") for n in range(10_000)))
    bells = story.wiring.store.doorbells_by("hook")
    assert len(bells) == 10_000
    assert {bell.kind for bell in bells} == {Kind.DOORBELL}
