"""A service is done for a reason; where a visit has several diagnoses, the clinician says which of them it was.

Spec: Procedure.reasonReference, Immunization.reasonReference, Encounter.reasonReference, ChargeItem.supportingInformation; SV107.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.codes import dotted, icd10
from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import named, with_reference
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import ICD10CM, Kind, Seen, changed, decides, label_of, lines_of, of_visit, service_of

MOST = 6


def _asks(seen: Seen) -> Iterator[Question]:
    choices = tuple(_choices(seen))
    if not choices:
        return
    for finding, line in lines_of(seen, "reason-missing", "missing-diagnosis-pointer"):
        yield Question(
            key=f"reason:{line.ref}",
            kind="reason",
            encounter=seen.visit,
            ask=f"What was this done for: {service_of(seen, line.ref, line.procedure)}?",
            why="The visit has several diagnoses, and none stands next to it.",
            choices=choices,
            settles=finding.key,
            about=line.ref,
        )


def _choices(seen: Seen) -> Iterator[Choice]:
    conditions = {named(c): c for c in seen.chart.resources.values() if c["resourceType"] == "Condition"}
    found = (d for claim in seen.claims for d in claim.diagnoses if d.kind in {"principal", "other"} and d.code)
    for diagnosis in list({d.code: d for d in found}.values())[:MOST]:
        condition = conditions.get(diagnosis.ref, {})
        yield Choice(
            key=diagnosis.code,
            label=label_of(condition.get("code") or {}) or dotted(diagnosis.code),
            code=dotted(diagnosis.code),
            system=ICD10CM,
            evidence="a diagnosis of this visit",
            resource=diagnosis.ref,
        )


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    target = _target(resources, answer) if decides(answer) else ""
    element = "supportingInformation" if answer.about.startswith("ChargeItem/") else "reasonReference"
    return changed(resources, answer, lambda one: with_reference(one, answer.question, element, target))


def _target(resources: list[Resource], answer: Answer) -> str:
    """The condition of the visit that was chosen, under the id that the chart gives it."""
    here = [r for r in resources if r["resourceType"] == "Condition"]
    chosen = next((r for r in here if named(r) == answer.resource), None) or next(
        (r for r in here if of_visit(r, answer) and icd10(answer.code) in _codes(r)), None
    )
    return f"Condition/{chosen['id']}" if chosen else ""


def _codes(condition: Resource) -> set[str]:
    return {icd10(str(c.get("code", ""))) for c in (condition.get("code") or {}).get("coding") or ()}


KIND = Kind(key="reason", settles=("reason-missing", "missing-diagnosis-pointer"), asks=_asks, lays=_lays, coded=True)
EXAMPLE = "clinicians: {reasons: [73560]}; a visit with two diagnoses and an x-ray that names neither"
