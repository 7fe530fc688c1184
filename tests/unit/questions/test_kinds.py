"""Each kind of question, from the fault it asks about to the bill that its answer makes; a new kind needs its case here."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_billing import mapping_files
from fhir_billing.cycle.bedside import Bedside, bedside
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.finding import Owner
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Choice, Question
from fhir_billing.fhir.r4 import complaints
from fhir_billing.mapping.site import Clinicians, Site
from fhir_billing.questions import kinds, laid, wrong
from tests.e2e import charts

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 3, 2)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
Resource = dict[str, Any]


def site(**changes: Any) -> Site:
    """The demo's site without its lists, and with these."""
    made = copy.copy(mapping_files.load("demo", ROOT / "mappings"))
    for name, value in {"edits": {}, "clinicians": Clinicians(), **changes}.items():
        setattr(made, name, value)
    return made


def ordered(start: str, *codes: str) -> list[Resource]:
    """A chart with its charges under other codes."""
    chart = copy.deepcopy(charts.chart(start))
    items = [r for r in chart if r["resourceType"] == "ChargeItem"]
    for item, code in zip(items, codes, strict=False):
        item["code"]["coding"][0]["code"] = code
    return chart


def coded(chart: list[Resource], *codes: str) -> list[Resource]:
    conditions = [r for r in chart if r["resourceType"] == "Condition"]
    for condition, code in zip(conditions, codes, strict=False):
        condition["code"]["coding"][0]["code"] = code
    return chart


@dataclass(frozen=True, kw_only=True)
class Case:
    """A chart, what is asked about it, an answer, and what the bill has then."""

    chart: list[Resource]
    choice: str
    ask: str
    has: Any
    text: str = ""
    site: dict[str, Any] = field(default_factory=dict)
    words_to: Owner = Owner.CODER


def _modifiers(claim: Claim) -> list[tuple[str, ...]]:
    return [line.modifiers for line in claim.lines]


CASES = {
    "diagnosis": Case(
        chart=charts.chart("oz"), choice="R05.9", ask="Why was the patient seen?",
        has=lambda claim: [d.code for d in claim.diagnoses] == ["R059"],
    ),
    "reason": Case(
        chart=charts.chart("jo"), choice="M1711", ask="What was this done for: service 20610?",
        site={"clinicians": Clinicians(reasons=("206*",))},
        has=lambda claim: [line.pointers for line in claim.lines] == [(1, 2), (1,)],
    ),
    "laterality": Case(
        chart=ordered("jo", "99213", "73560"), choice="left", ask="Which side: service 73560?",
        site={"edits": {"laterality": {"procedures": ["73560"]}}},
        has=lambda claim: _modifiers(claim) == [(), ("LT",)],
    ),
    "laterality of a diagnosis": Case(
        chart=coded(copy.deepcopy(charts.chart("jo")), "M25.569"), choice="right", ask="Which side: M25.569?",
        site={"edits": {"laterality": {"diagnoses": ["M25.56"]}}},
        has=lambda claim: [d.code for d in claim.diagnoses] == ["M25561", "I10"],
    ),
    "telehealth-place": Case(
        chart=[{**r, "class": {**r["class"], "code": "AMB"}} if r["resourceType"] == "Encounter" else r for r in charts.chart("gus")],
        choice="elsewhere", ask="Where was the patient during this visit?", has=lambda claim: claim.place == "02",
    ),
    "minutes": Case(
        chart=ordered("ada", "99406"), choice="minutes", text="12", ask="How many minutes did this take: service 99406?",
        site={"clinicians": Clinicians(minutes={"99406": 4})}, has=lambda claim: len(claim.lines) == 2,
    ),
    "modifier-reason": Case(
        chart=charts.chart("jo"), choice="separate", ask="Was the visit a piece of work of its own, apart from service 20610?",
        site={"edits": {"visit-and-procedure": {"visits": ["99213"], "procedures": ["20610"]}}},
        has=lambda claim: _modifiers(claim) == [("25",), ()],
    ),
    "authorization": Case(
        chart=charts.chart("cy"), choice="number", text="AUTH-0001", ask="Is there an authorization for service 70551?",
        site={"edits": {"prior-auth-missing": {"procedures": ["70551"]}}}, words_to=Owner.BILLER,
        has=lambda claim: claim.authorization == "AUTH-0001",
    ),
}  # fmt: skip
PROBLEM = {
    "resourceType": "Condition", "id": "problem", "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {"coding": [{"system": ICD, "code": "R05.9"}], "text": "Cough"}, "subject": {"reference": "Patient/oz"},
    "category": [{"coding": [{"code": "problem-list-item"}]}], "onsetDateTime": "2026-01-14",
}  # fmt: skip


def seen(case: Case, answers: list[Answer] | None = None, **more: Any) -> Bedside:
    encounter = charts.encounter_of(case.chart)
    return bedside(
        case.chart,
        site(**case.site),
        encounter=encounter,
        answers=answers or [],
        evidence=[PROBLEM],
        today=TODAY,
        **more,
    )


def question_of(case: Case) -> Question:
    (found,) = [q for q in seen(case).questions if q.ask == case.ask]
    return found


def answer_to(question: Question, choice: str, **more: str) -> Answer:
    picked = next((c for c in question.choices if c.key == choice), Choice(key=choice, label=""))
    return Answer(
        question=question.key, kind=question.kind, encounter=question.encounter, choice=choice, about=question.about,
        label=picked.label, code=picked.code, system=picked.system, resource=picked.resource, ask=question.ask,
        practitioner="Practitioner/dr-lin", at=datetime(2026, 3, 2, 15, tzinfo=UTC), **more,
    )  # fmt: skip


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_every_kind_has_a_case() -> None:
    asking = {key for key, kind in kinds().items() if kind.settles}
    assert asking == {name.partition(" of ")[0] for name in CASES}
    assert asking == {q.kind for one in CASES.values() for q in seen(one).questions}


def test_the_question_is_asked_and_its_answer_makes_the_bill(case: Case) -> None:
    question = question_of(case)
    assert question.blocks and case.choice in {choice.key for choice in question.choices}
    answer = answer_to(question, case.choice, text=case.text)
    assert wrong(answer) == ""
    after = seen(case, [answer])
    assert question.key not in {q.key for q in after.questions}
    assert after.answered == (answer,)
    assert after.drafted is not None
    assert after.drafted.is_ready, after.drafted.findings
    assert case.has(after.drafted.claims[0].claim)


def test_an_answer_is_laid_once_changed_by_the_next_and_taken_back(case: Case) -> None:
    question = question_of(case)
    answer = answer_to(question, case.choice, text=case.text)
    once = laid(case.chart, [answer], site(**case.site))
    assert once != case.chart
    assert laid(once, [answer], site(**case.site)) == once
    assert [complaints(r) for r in once if r not in case.chart] == [[]], (
        "one resource is new or changed, and it is valid R4"
    )
    back = laid(once, [replace(answer, choice="")], site(**case.site))
    assert seen(replace(case, chart=back)).questions == seen(case).questions
    for other in question.choices[1:2]:
        again = replace(answer_to(question, other.key), text=case.text)
        assert laid(once, [again], site(**case.site)) == laid(
            laid(case.chart, [again], site(**case.site)), [again], site(**case.site)
        )


def test_who_cannot_say_or_says_it_in_words_hands_it_on(case: Case) -> None:
    question = question_of(case)
    for choice, text, told in (
        (CANT_SAY, "", "The clinician can't say."),
        (SOMETHING_ELSE, "a <b>few</b> words", "The clinician says: a <b>few</b> words"),
    ):
        answer = replace(answer_to(question, choice), text=text)
        assert wrong(answer) == ""
        after = seen(case, [answer])
        assert question.key not in {q.key for q in after.questions}
        (held,) = [f for f in after.others if f.key == question.settles]
        assert (held.fix_by, held.say.endswith(told)) == (case.words_to, True)
        assert laid(case.chart, [answer], site(**case.site)) == case.chart


def test_no_question_suggests_an_answer_or_speaks_of_money(case: Case) -> None:
    question = question_of(case)
    words = " ".join([question.ask, question.why, *(f"{c.label} {c.evidence}" for c in question.choices)]).casefold()
    assert not {"$", "pay", "paid", "money", "charge", "reimburs", "deni", "claim", "bill"} & set(words.split())
    assert all(word not in words for word in ("$", "paid", "reimburs", "denied", "please", "should"))
    assert question.ask.endswith("?") and question.ask[0].isupper()


def test_an_answer_about_one_visit_changes_no_other(case: Case) -> None:
    question = question_of(case)
    answer = replace(answer_to(question, case.choice, text=case.text), encounter="Encounter/another")
    assert laid(case.chart, [answer], site(**case.site)) == case.chart
    visit: Resource = {
        "resourceType": "Encounter",
        "id": "another",
        "status": "finished",
        "subject": {"reference": "Patient/p"},
    }
    both = [*case.chart, visit]
    changed = [r for r in laid(both, [answer], site(**case.site)) if r not in both]
    assert all(r["resourceType"] == "Condition" and r["encounter"]["reference"] == "Encounter/another" for r in changed)


def test_a_visit_without_questions_is_drafted_as_ever() -> None:
    chart = charts.chart("ada")
    found = bedside(chart, site(), encounter="Encounter/ada-visit", today=TODAY)
    assert found.open and found.questions == () and found.others == ()
    assert found.drafted is not None and found.drafted.is_ready
    assert found.patient == "Patient/ada"


def test_a_cancelled_visit_and_one_that_is_not_there_ask_nothing() -> None:
    for name, encounter in (("zoe", "Encounter/zoe-visit"), ("ada", "Encounter/nobody")):
        found = bedside(charts.chart(name), site(), encounter=encounter, today=TODAY)
        assert (found.open, found.drafted, found.questions) == (False, None, ())


def test_choices_are_the_charts_own_newest_first_and_few() -> None:
    def problem(number: int, **changes: Any) -> Resource:
        code = {"coding": [{"system": ICD, "code": f"R1{number}.9"}], "text": f"Finding {number}"}
        return {
            **PROBLEM,
            "id": f"problem-{number}",
            "onsetDateTime": f"2026-01-{number + 10}",
            "code": code,
            **changes,
        }

    over = [{"coding": [{"code": "resolved"}]}, {"coding": [{"code": "refuted"}]}]
    evidence = [problem(n) for n in range(1, 9)]
    evidence += [
        problem(9, clinicalStatus=over[0]),
        problem(0, verificationStatus=over[1]),
        {"resourceType": "Condition"},
    ]
    evidence += [{"resourceType": "Condition", "id": "odd", "code": ["R10"]}, {"id": "no-type"}]
    evidence.append({**problem(1), "id": "no-code", "code": {"text": "Something old"}})
    (question,) = bedside(
        charts.chart("oz"), site(), encounter="Encounter/oz-visit", evidence=evidence, today=TODAY
    ).questions
    assert [c.key for c in question.choices] == [f"R1{n}.9" for n in range(8, 2, -1)]
    assert question.choices[0].evidence == "problem list, since January 2026"
    assert question.choices[0].resource == "Condition/problem-8"


def test_what_a_person_asked_stands_behind_what_holds_the_bill() -> None:
    asked = Question(key="asked:1", kind="asked", encounter="Encounter/oz-visit", ask="Was it new?", blocks=False)
    case = CASES["diagnosis"]
    assert [q.kind for q in seen(case, asked=[asked]).questions] == ["diagnosis", "asked"]
    answer = Answer(question="asked:1", kind="asked", encounter="Encounter/oz-visit", choice="yes")
    assert [q.kind for q in seen(case, [answer], asked=[asked]).questions] == ["diagnosis"]


def test_a_side_never_names_another_disease() -> None:
    case = CASES["laterality of a diagnosis"]
    answer = replace(answer_to(question_of(case), "right"), code="C50.911")
    assert laid(case.chart, [answer], site(**case.site)) == case.chart


def test_a_side_is_offered_only_with_a_code_that_there_is() -> None:
    case = CASES["laterality of a diagnosis"]
    assert [c.code for c in question_of(case).choices] == ["M25.561", "M25.562"], "no table: few codes tell both sides"
    table = frozenset({"M25561", "M25562", "M25563", "M25569", "I10"})
    (found,) = seen(replace(case, site={**case.site, "icd10_valid": table})).questions
    assert [c.code for c in found.choices] == ["M25.561", "M25.562", "M25.563"]


def test_the_open_visits_of_the_demo_ask_every_kind() -> None:
    chart = [*charts.clinic(), *charts.bundle("open/nell.json")]
    demo = mapping_files.load("demo", ROOT / "mappings")
    asked = {
        question.kind
        for name in ("office", "knee", "afar")
        for question in bedside(chart, demo, encounter=f"Encounter/nell-{name}", today=TODAY).questions
    }
    assert asked == {key for key, kind in kinds().items() if kind.settles}
