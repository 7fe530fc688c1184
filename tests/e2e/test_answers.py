"""A clinician answers: the held claim goes at once, the open visit remembers, and what has left is never changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cycle.asked_text import load_answer
from fhir_billing.cycle.records import AskedRecord
from fhir_billing.domain.lifecycle import State
from fhir_billing.worker import beat
from tests.e2e import charts
from tests.e2e.story import Story

VISIT = "Encounter/oz-visit"
COUGH = {
    "question": f"diagnosis:{VISIT}", "kind": "diagnosis", "about": VISIT, "choice": "R05.9", "code": "R05.9", "label": "Cough",
    "ask": "Why was the patient seen?", "practitioner": "Practitioner/dr-lin",
}  # fmt: skip


class Chart:
    """An EHR that holds one visit and takes what the test lets it take."""

    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self.resources, self.says = resources, "written"

    def lay(self, encounter: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> str:
        made = change(copy.deepcopy(self.resources))
        if self.says == "written":
            self.resources = made
        return self.says

    def gather(self, encounter: str) -> list[dict[str, Any]]:
        return self.resources


@pytest.fixture
def chart() -> Chart:
    return Chart(charts.finished(charts.chart("oz")))


@pytest.fixture
def story(tmp_path: Path, chart: Chart) -> Story:
    return Story(tmp_path, f"sqlite:///{tmp_path / 'book.db'}", "pays", "2026-03-03", ehr=(chart, chart))


def answer(story: Story, **changes: str) -> str:
    return story.act("clinician-answer", encounter=VISIT, answer={**COUGH, **changes})


def kept(story: Story) -> AskedRecord:
    with story.wiring.store.begin() as book:
        (record,) = book.asked(encounter=VISIT)
    return record


def diagnoses(story: Story) -> list[str]:
    from fhir_billing.fhir.claim import read_claim
    from fhir_billing.fhir.text import loads

    return [d.code for d in read_claim(loads(story.only_claim().resource)).diagnoses]


def test_an_answer_frees_a_held_claim_and_it_leaves(story: Story, chart: Chart, tmp_path: Path) -> None:
    story.visit(VISIT, chart.resources)
    assert story.only_claim().state is State.HELD
    assert answer(story) == f"done: diagnosis:{VISIT}: R05.9"
    assert story.only_claim().state is State.READY
    assert diagnoses(story) == ["R059"]
    assert "person: Answered “Why was the patient seen?”: Cough (R05.9)" in story.biography(story.only_claim().number)
    story.send()
    assert story.only_claim().state is State.SENT
    assert kept(story).charted == "written"
    assert [r["code"]["coding"][0]["code"] for r in chart.resources if r["resourceType"] == "Condition"] == ["R05.9"]
    assert story.replay_is_equal(tmp_path)


def test_a_chart_that_took_the_answer_is_read_again_and_nothing_changes(story: Story, chart: Chart) -> None:
    story.visit(VISIT, chart.resources)
    answer(story)
    story.send()
    for resource in chart.resources:
        if resource["id"].startswith("answer-"):
            resource["id"] = "given-by-the-ehr"
    before = story.only_claim()
    story.visit(VISIT, chart.resources)
    assert story.only_claim().resource == before.resource
    with story.wiring.store.begin() as book:
        visit = book.visit(VISIT)
    assert visit is not None and not visit.changed_after_send


def test_an_answer_on_an_open_visit_waits_until_it_closes(story: Story, chart: Chart, tmp_path: Path) -> None:
    answer(story)
    assert story.claims() == {}
    story.visit(VISIT, chart.resources)
    assert story.only_claim().state is State.READY
    assert story.replay_is_equal(tmp_path)


def test_the_last_answer_counts(story: Story, chart: Chart, tmp_path: Path) -> None:
    story.visit(VISIT, chart.resources)
    answer(story)
    answer(story, choice="J20.9", code="J20.9", label="Bronchitis")
    beat.relay(story.wiring)
    beat.work(story.wiring)
    assert diagnoses(story) == ["J209"]
    assert [r["code"]["coding"][0]["code"] for r in chart.resources if r["resourceType"] == "Condition"] == ["J20.9"]
    assert story.replay_is_equal(tmp_path)


def test_an_answer_that_is_taken_back_holds_the_claim_again(story: Story, chart: Chart, tmp_path: Path) -> None:
    story.visit(VISIT, chart.resources)
    answer(story)
    beat.relay(story.wiring)
    answer(story, choice="", code="")
    assert story.only_claim().state is State.HELD
    assert kept(story).answered_at is None
    beat.relay(story.wiring)
    (condition,) = [r for r in chart.resources if r["resourceType"] == "Condition"]
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    story.visit(VISIT, chart.resources)
    assert story.only_claim().state is State.HELD
    assert story.replay_is_equal(tmp_path)


def test_an_answer_after_the_claim_left_is_kept_and_told_and_changes_nothing(
    story: Story, chart: Chart, tmp_path: Path
) -> None:
    story.visit(VISIT, chart.resources)
    answer(story)
    story.send()
    before = story.only_claim()
    answer(story, choice="J20.9", code="J20.9", label="Bronchitis")
    assert story.only_claim().resource == before.resource
    assert story.only_claim().state is State.SENT
    said = load_answer(kept(story).answer)
    assert said is not None and said.code == "J20.9"
    assert any("had left before" in line for line in story.biography(before.number))
    assert answer(story, choice="", code="").startswith("quarantined: the bill has left")
    assert story.replay_is_equal(tmp_path)


def test_who_cannot_say_hands_the_question_to_a_coder(story: Story, chart: Chart) -> None:
    story.visit(VISIT, chart.resources)
    answer(story, choice="cant-say", code="", label="")
    claim = story.only_claim()
    assert claim.state is State.HELD
    assert claim.findings[0]["fix_by"] == "coder"
    assert "The clinician can't say" in str(claim.findings[0]["say"])


def test_a_few_words_go_to_a_coder_and_a_found_code_goes_on_the_bill(story: Story, chart: Chart) -> None:
    story.visit(VISIT, chart.resources)
    answer(story, choice="something-else", code="", label="", text="fell off a ladder")
    assert "The clinician says: fell off a ladder" in str(story.only_claim().findings[0]["say"])
    answer(story, choice="something-else", code="S93.401A", label="Sprain")
    assert story.only_claim().state is State.READY


def test_what_an_ehr_refuses_is_said_and_the_claim_goes_on(story: Story, chart: Chart, tmp_path: Path) -> None:
    chart.says = "Condition not taken (scope-missing)"
    story.visit(VISIT, chart.resources)
    answer(story)
    story.send()
    assert kept(story).charted == "Condition not taken (scope-missing)"
    assert story.only_claim().state is State.SENT
    assert story.replay_is_equal(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "no-such-kind"},
        {"question": "diagnosis:Encounter/another"},
        {"code": "CHEST", "choice": "CHEST"},
        {"code": "", "choice": "whatever"},
        {"text": "x" * 201},
        {"text": "a\x00b"},
        {"about": "Encounter/../secret", "question": "diagnosis:Encounter/../secret"},
        {"practitioner": "<script>"},
        {"system": "http://evil.example"},
        {"encounter": "Encounter/another"},
        {"about": "Procedure/1", "question": "diagnosis:Procedure/1"},
        {
            "kind": "laterality",
            "about": "Observation/1",
            "question": "laterality:Observation/1",
            "choice": "left",
            "code": "",
        },
        {
            "kind": "minutes",
            "about": "ChargeItem/1",
            "question": "minutes:ChargeItem/1",
            "choice": "minutes",
            "text": "-5",
            "code": "",
        },
        {
            "kind": "minutes",
            "about": "ChargeItem/1",
            "question": "minutes:ChargeItem/1",
            "choice": "minutes",
            "text": "481",
            "code": "",
        },
    ],
)
def test_a_hostile_answer_changes_nothing(story: Story, chart: Chart, changes: dict[str, str]) -> None:
    story.visit(VISIT, chart.resources)
    assert answer(story, **changes).startswith("quarantined")
    assert story.only_claim().state is State.HELD


def test_a_coder_asks_and_the_clinician_answers(story: Story, chart: Chart, tmp_path: Path) -> None:
    story.visit(VISIT, chart.resources)
    number = story.only_claim().number
    said = story.act(
        "ask", claim=number, ask="Was the wound cleaned?", choices=["Yes", "No"], asked_of="Practitioner/dr-lin"
    )
    key = said.removeprefix("done: asked: ")
    assert kept(story).asked_of == "Practitioner/dr-lin"
    given = {"question": key, "kind": "asked", "choice": "choice-1", "label": "Yes", "ask": "Was the wound cleaned?"}
    assert story.act("clinician-answer", encounter=VISIT, answer={**given, "choice": "choice-9"}).startswith(
        "quarantined"
    )
    assert story.act("clinician-answer", encounter=VISIT, answer=given).startswith("done")
    assert "person: Answered “Was the wound cleaned?”: Yes" in story.biography(number)
    assert kept(story).answered_by == "Bea Biller"
    assert story.replay_is_equal(tmp_path)


@pytest.mark.parametrize("facts", [{"ask": ""}, {"ask": "x" * 301}, {"choices": list("abcdefg")}, {"asked_of": "x y"}])
def test_a_question_that_is_none_is_refused(story: Story, chart: Chart, facts: dict[str, Any]) -> None:
    story.visit(VISIT, chart.resources)
    number = story.only_claim().number
    assert story.act("ask", **{"claim": number, "ask": "Which side?", "choices": [], **facts}).startswith("quarantined")
