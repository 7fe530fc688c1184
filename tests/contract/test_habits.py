"""What a clinician keeps at hand and used before, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_billing.cycle.ports import Habits
from fhir_billing.store.habits import SqlHabits
from tests.e2e import charts
from tests.e2e.story import Story

VISIT = "Encounter/oz-visit"


@pytest.fixture
def story(each_database: str, tmp_path: Path) -> Iterator[Story]:
    story = Story(folder=tmp_path, database=each_database, scenario="pays", day="2026-03-03")
    story.visit(VISIT, charts.finished(charts.chart("oz")))
    yield story
    story.wiring.store.close()


def test_a_favourite_is_kept_once_by_each_person_and_let_go(story: Story) -> None:
    habits: Habits = SqlHabits(story.wiring.store)
    habits.keep("ci Practitioner/1", "M1711", "diagnosis")
    habits.keep("ci Practitioner/1", "M1711", "diagnosis")
    habits.keep("ci Practitioner/1", "20610", "charge")
    habits.keep("ci Practitioner/2", "I10", "diagnosis")
    assert habits.favourites("ci Practitioner/1", "diagnosis") == ["M1711"]
    assert habits.favourites("ci Practitioner/1", "charge") == ["20610"]
    habits.let_go("ci Practitioner/1", "M1711")
    habits.let_go("ci Practitioner/1", "M1711")
    assert habits.favourites("ci Practitioner/1", "diagnosis") == []
    assert habits.favourites("ci Practitioner/2", "diagnosis") == ["I10"]


def test_what_was_answered_is_what_was_used_and_only_ones_own(story: Story) -> None:
    habits: Habits = SqlHabits(story.wiring.store)
    assert habits.used("Bea Biller") == {}
    said = {"question": f"diagnosis:{VISIT}", "kind": "diagnosis", "about": VISIT, "choice": "R05.9", "code": "R05.9"}
    story.act("clinician-answer", encounter=VISIT, answer=said)
    assert habits.used("Bea Biller", "") == {"R059": 1}
    assert habits.used("Somebody Else") == {}


def test_a_visits_level_is_kept_and_told_and_changes_no_claim(story: Story) -> None:
    before = story.only_claim()
    said = {
        "question": f"level:{VISIT}",
        "kind": "level",
        "about": VISIT,
        "choice": "something-else",
        "code": "99214",
        "system": "http://www.ama-assn.org/go/cpt",
        "label": "By time",
        "text": "Known patient, 32 minutes",
        "ask": "Which level was this visit?",
    }
    story.act("clinician-answer", encounter=VISIT, answer=said)
    after = story.only_claim()
    assert after.resource == before.resource
    with story.wiring.store.looking() as book:
        lines = [line.what for line in book.biography(after.number)]
    assert any("99214" in line and "32 minutes" in line for line in lines)
