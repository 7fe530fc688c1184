"""Why a patient was seen is what the chart already suggests, or what the clinician says instead; the bill never guesses it.

The choices are conditions of this visit, and the active ones of the patient's problem list, newest first. The answer is a
Condition of this visit: the resource that large EHRs let an app create.
Spec: Condition.encounter, category encounter-diagnosis, verificationStatus; HI*ABK.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_billing.domain.codes import icd10
from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import made_id, made_identifier, named
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import ICD10CM, Kind, Seen, decides, label_of, made_for

MOST = 6
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
_NOT_TRUE = frozenset({"refuted", "entered-in-error"})
_OVER = frozenset({"inactive", "resolved", "remission"})
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _asks(seen: Seen) -> Iterator[Question]:
    if not seen.held_by("no-diagnosis"):
        return
    yield Question(
        key=f"diagnosis:{seen.visit}",
        kind="diagnosis",
        encounter=seen.visit,
        ask="Why was the patient seen?",
        why="The visit names no diagnosis yet.",
        choices=tuple(_choices(seen)),
        settles="no-diagnosis",
        about=seen.visit,
        finder="diagnosis",
    )


def _choices(seen: Seen) -> list[Choice]:
    here = [c for c in seen.chart.of_visit(seen.encounter, "Condition") if _is_true(c)]
    others = [c for c in seen.evidence if c.get("resourceType") == "Condition" and _is_true(c) and _is_active(c)]
    found: dict[str, tuple[str, Choice]] = {}
    for condition in [*here, *others]:
        choice = _choice(condition, seen, here=condition in here)
        if choice is not None and choice.key not in found:
            found[choice.key] = (_day(condition), choice)
    newest = sorted(found.values(), key=lambda one: one[0], reverse=True)
    return [choice for _, choice in newest[:MOST]]


def _choice(condition: Resource, seen: Seen, *, here: bool) -> Choice | None:
    concept = condition.get("code") or {}
    coding = seen.site.terminology.billing(concept, "diagnosis")
    label = label_of(concept)
    evidence = _evidence(condition, here=here)
    if coding is None:
        if not here or not label:
            return None
        return Choice(
            key=named(condition), label=label, evidence=f"{evidence}, without a code", resource=named(condition)
        )
    code = str(coding["code"])
    valid = seen.site.icd10_valid
    if code[:1] in "VWXY" or (valid is not None and icd10(code) not in valid):
        return None
    return Choice(
        key=code, label=label or code, code=code, system=ICD10CM, evidence=evidence, resource=named(condition)
    )


def _evidence(condition: Resource, *, here: bool) -> str:
    if here:
        return "noted at this visit"
    categories = {c.get("code") for one in condition.get("category") or () for c in one.get("coding") or ()}
    place = "earlier visit" if categories == {"encounter-diagnosis"} else "problem list"
    day = _day(condition)
    month = int(day[5:7]) if day[5:7].isdigit() else 0
    if not 1 <= month <= 12:
        return place
    return f"{place}, {'' if place == 'earlier visit' else 'since '}{_MONTHS[month - 1]} {day[:4]}"


def _day(condition: Resource) -> str:
    return str(condition.get("onsetDateTime") or condition.get("recordedDate") or "")


def _said(condition: Resource, element: str) -> set[Any]:
    return {c.get("code") for c in (condition.get(element) or {}).get("coding") or ()}


def _is_true(condition: Resource) -> bool:
    return not _said(condition, "verificationStatus") & _NOT_TRUE


def _is_active(condition: Resource) -> bool:
    return not _said(condition, "clinicalStatus") & _OVER


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    before = made_for(resources, answer.question)
    if not decides(answer):
        return resources if before is None else [_taken_back(r) if r is before else r for r in resources]
    visit = next(r for r in resources if named(r) == answer.encounter)
    made = _condition(answer, visit, before)
    if before is None:
        return [*resources, made]
    return [made if r is before else r for r in resources]


def _condition(answer: Answer, visit: Resource, before: Resource | None) -> Resource:
    made: Resource = {
        "resourceType": "Condition",
        "id": made_id(answer.question),
        "identifier": [made_identifier(answer.question)],
        "clinicalStatus": _coded(_CLINICAL, "active"),
        "verificationStatus": _coded(_VERIFICATION, "confirmed"),
        "category": [_coded(_CATEGORY, "encounter-diagnosis")],
        "code": {**_coded(ICD10CM, answer.code), **({"text": answer.label} if answer.label else {})},
        "subject": visit.get("subject") or {},
        "encounter": {"reference": answer.encounter},
    }
    if answer.at:
        made["recordedDate"] = answer.at.isoformat(timespec="seconds")
    if answer.practitioner:
        made["recorder"] = {"reference": answer.practitioner}
    if before is None:
        return made
    held = {c.get("code") for c in (before.get("code") or {}).get("coding") or ()}
    if answer.code in held and _is_true(before):
        return before  # the chart holds it, in the EHR's own way
    kept = {name: value for name, value in before.items() if name not in made}
    return {**kept, **made, "id": before["id"]}


def _taken_back(condition: Resource) -> Resource:
    """Entered in error: an EHR keeps what was once said, and says that it is not true."""
    others = {name: value for name, value in condition.items() if name != "clinicalStatus"}
    return {**others, "verificationStatus": _coded(_VERIFICATION, "entered-in-error")}


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


KIND = Kind(
    key="diagnosis", settles=("no-diagnosis",), asks=_asks, lays=_lays, whole_visit=True, coded=True, finder="diagnosis"
)
