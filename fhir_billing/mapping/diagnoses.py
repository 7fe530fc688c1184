"""A diagnosis on a bill is one that was made at this visit; what the patient came for is not yet one.

Encounter.diagnosis gives the order, then come the Conditions that say they belong to the visit. Refuted ones and errors
are none. Encounter.reasonCode is never billed.
Spec: Encounter.diagnosis.rank and use; HI of 837P and 837I; ICD-10-CM chapter 20 (external causes).
"""

from __future__ import annotations

from typing import Any

from fhir_billing.domain.finding import Owner
from fhir_billing.fhir.answered import named
from fhir_billing.mapping import extensions
from fhir_billing.mapping.chart import Chart, Resource
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.people import foreign, reference
from fhir_billing.mapping.site import Site

_NOT_TRUE = frozenset({"refuted", "entered-in-error"})
_LAST = 1_000_000
_EXTERNAL = frozenset("VWXY")


def diagnoses(chart: Chart, encounter: Resource, site: Site, kind: str, found: Found) -> list[dict[str, Any]]:
    """The visit's diagnoses in billing order, billing code first."""
    chosen: dict[str, tuple[Resource, str, dict[str, Any]]] = {}
    admitting: list[tuple[Resource, dict[str, Any]]] = []
    ranked = list(enumerate(encounter.get("diagnosis") or ()))
    ranked.sort(key=lambda one: (one[1].get("rank", _LAST), one[0]))
    for position, entry in ranked:
        at = f"Encounter.diagnosis[{position}].condition"
        condition = found.follow(chart, encounter, entry.get("condition"), at)
        if condition is None or condition["resourceType"] != "Condition" or not _is_true(condition):
            continue
        whose, patient = (chart.key(one.get("subject") or {}, one) for one in (condition, encounter))
        if whose and patient and whose != patient:
            if condition not in chart.foreign(encounter):
                foreign(condition, found)
            continue
        use = next((c.get("code", "") for c in (entry.get("use") or {}).get("coding") or ()), "")
        if use == "AD" and kind == "institutional":
            admitting.append((condition, entry))
        else:
            chosen.setdefault(condition["id"], (condition, use, entry))
    for condition in chart.of_visit(encounter, "Condition"):
        if _is_true(condition) and condition["id"] not in {c["id"] for c, _ in admitting}:
            chosen.setdefault(condition["id"], (condition, "", {}))
    made = [_facts(condition, entry, site, found) for condition, _, entry in chosen.values()]
    made.sort(key=lambda one: one["code"][:1] in _EXTERNAL)  # how an injury came about never stands first
    _types(made, kind)
    if kind == "institutional":
        made += [
            {**_facts(condition, entry, site, found), "type": "admitting", "onAdmission": None}
            for condition, entry in admitting
        ]
    for number, one in enumerate(made, 1):
        one["sequence"] = number
    return made


def _is_true(condition: Resource) -> bool:
    status = (condition.get("verificationStatus") or {}).get("coding") or ()
    return not any(c.get("code") in _NOT_TRUE for c in status)


def _facts(condition: Resource, entry: dict[str, Any], site: Site, found: Found) -> dict[str, Any]:
    concept = condition.get("code") or {}
    billing = site.terminology.billing(concept, "diagnosis")
    if billing is None:
        found.add(
            "code-unmapped", f"{said(concept)} has no ICD-10-CM code", at="Claim.diagnosis", resource=reference(condition),
            fix="add a row to the site's table `diagnosis`, or code the condition in ICD-10-CM", by=Owner.CODER,
        )  # fmt: skip
    urls = site.options.extensions.get("poa", (f"{extensions.OURS}present-on-admission",))
    poa = extensions.first_text(entry, urls) or extensions.first_text(condition, urls)
    return {
        "coding": with_source(billing, concept), "text": concept.get("text"), "code": billing["code"] if billing else "",
        "onAdmission": poa or site.options.defaults.get("present_on_admission"), "reference": named(condition),
        "id": condition["id"], "source": condition,
    }  # fmt: skip


def _types(made: list[dict[str, Any]], kind: str) -> None:
    principal = False
    for one in made:
        if kind == "institutional" and one["code"] and one["code"][0] in _EXTERNAL:
            one["type"] = "external"
        elif not principal:
            one["type"], principal = "principal", True
        else:
            one["type"] = "other"


def with_source(billing: dict[str, Any] | None, concept: dict[str, Any]) -> list[dict[str, Any]]:
    """The billing code first, then what the chart said, unchanged; a code that was the billing code already stands once."""
    source = list(concept.get("coding") or ())
    if billing is None:
        return source
    for position, coding in enumerate(source):
        if coding.get("code") == billing["code"] and coding.get("system") == billing["system"]:
            return [coding, *source[:position], *source[position + 1 :]]
    return [billing, *source]


def said(concept: dict[str, Any]) -> str:
    """A concept's codes, for a sentence: codes only, no wording."""
    found = [str(c.get("code")) for c in concept.get("coding") or () if c.get("code")]
    return f"The code {', '.join(found)}" if found else "A concept without any code"
