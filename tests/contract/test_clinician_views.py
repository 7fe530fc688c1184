"""The clinician's pages read what the book holds, on SQLite and on Postgres, and hear of what is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_billing.cycle.clinician import AskedQuestion, ClinicianViews
from tests.e2e import charts
from tests.e2e.story import Story

VISIT = "Encounter/oz-visit"


@pytest.fixture
def story(each_database: str, tmp_path: Path) -> Iterator[Story]:
    story = Story(folder=tmp_path, database=each_database, scenario="pays", day="2026-03-03")
    story.visit(VISIT, charts.finished(charts.chart("oz")))
    yield story
    story.wiring.store.close()


def views(story: Story) -> ClinicianViews:
    return story.wiring.views


def answer(story: Story, choice: str = "R05.9") -> None:
    said = {
        "question": f"diagnosis:{VISIT}",
        "kind": "diagnosis",
        "about": VISIT,
        "choice": choice,
        "code": choice,
        "ask": "Why?",
    }
    story.act("clinician-answer", encounter=VISIT, answer=said)


def test_an_answer_is_read_with_its_question_and_once_taken_back_it_is_no_answer(story: Story) -> None:
    assert views(story).answers(VISIT) == []
    assert views(story).asked(encounter=VISIT) == []
    answer(story)
    (given,) = views(story).answers(VISIT)
    assert (given.code, given.who, given.at is not None) == ("R05.9", "Bea Biller", True)
    (one,) = views(story).asked(patient="Patient/oz")
    assert one.question.ask == "Why?" and one.answer == given and not one.is_open
    answer(story, choice="")
    assert views(story).asked(encounter=VISIT) == []
    assert [a.choice for a in views(story).answers(VISIT)] == [""]


def test_what_a_coder_asked_is_found_by_practitioner_patient_visit_and_claim(story: Story) -> None:
    number = story.only_claim().number
    story.act("ask", claim=number, ask="Which side?", choices=["Left", "Right"], asked_of="Practitioner/dr-lin")
    story.act("ask", claim=number, ask="Was it new?", choices=[], asked_of="")

    def asks(found: list[AskedQuestion]) -> list[str]:
        return [one.question.ask for one in found]

    assert asks(views(story).asked(practitioner="Practitioner/dr-lin")) == ["Which side?"]
    assert asks(views(story).asked(practitioner="Practitioner/dr-lin", patient="Patient/oz")) == [
        "Was it new?",
        "Which side?",
    ]
    assert asks(views(story).asked(practitioner="Practitioner/dr-moe", encounter=VISIT)) == ["Was it new?"]
    assert asks(views(story).asked_on(number)) == ["Was it new?", "Which side?"]
    (newest, _) = views(story).asked(encounter=VISIT)
    assert newest.is_open and newest.question.asked_by == "Bea Biller" and newest.question.blocks


def test_the_stamp_changes_with_what_it_is_about_and_with_nothing_else(story: Story) -> None:
    keys = (VISIT, "Patient/oz", story.only_claim().number, "Practitioner/dr-lin")
    stamps = [views(story).news(key) for key in keys]
    assert [views(story).news(key) for key in keys] == stamps
    elsewhere = views(story).news("Encounter/another")
    answer(story)
    assert all(views(story).news(key) != before for key, before in zip(keys[:3], stamps, strict=False))
    assert views(story).news("Encounter/another") == elsewhere
    assert views(story).news("Practitioner/dr-lin") == stamps[3]
    story.act("ask", claim=story.only_claim().number, ask="Which side?", choices=[], asked_of="Practitioner/dr-lin")
    assert views(story).news("Practitioner/dr-lin") != stamps[3]
    assert views(story).news() == ""


def test_a_patients_bills_and_the_visit_as_it_was_read(story: Story) -> None:
    (page,) = views(story).bills("Patient/oz")
    assert page.visit.encounter == VISIT and [c.row.number for c in page.claims] == [story.only_claim().number]
    assert views(story).bills("Patient/nobody") == views(story).bills("") == []
    read = views(story).stored_visit(VISIT)
    assert read is not None and {"resourceType", "id"} <= set(read[0])
    assert views(story).stored_visit("Encounter/never-read") is None
