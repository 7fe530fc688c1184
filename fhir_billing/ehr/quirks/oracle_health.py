"""Oracle Health keeps what is billed in extensions of a ChargeItem, under code systems that carry the tenant's id.

`ChargeItem.code` is the charge master's number there; procedure code, modifiers, revenue code and price are extensions, and a
charge that was taken back points at what offset it. A Coverage may belong to one visit: those of other visits are not this
one's. From the vendor's published examples (fhir.cerner.com, R4 ChargeItem and Coverage), not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Resource = dict[str, Any]
HERE: Final = "https://fhir-ehr.cerner.com/r4/StructureDefinition/"
OURS: Final = "https://fhir-billing.example/fhir/StructureDefinition/"
SYSTEMS: Final = {
    "CPT": "http://www.ama-assn.org/go/cpt",
    "HCPCS": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "ICD": "http://hl7.org/fhir/sid/icd-10-cm",
    "REVENUE": "https://www.nubc.org/CodeSystem/RevenueCodes",
}
"""What follows `BillCodes-` in a tenant's system → the system that everybody knows."""
CLASS_ALIAS: Final = "http://hl7.org/fhir/ValueSet/coverage-class"
CLASS: Final = "http://terminology.hl7.org/CodeSystem/coverage-class"


def normalise(resource: Resource) -> Resource:
    """A ChargeItem or Coverage in plain R4; everything else as it is."""
    match resource.get("resourceType"):
        case "ChargeItem":
            return _charge(resource)
        case "Coverage":
            return (
                {**resource, "class": [_class(c) for c in _rows(resource, "class")]}
                if "class" in resource
                else resource
            )
        case _:
            return resource


def whole(resources: list[Resource], encounter: str) -> list[Resource]:
    """The visit's own coverages where it has any; one that belongs to another visit is never used."""
    of_visit = {id(r): _visit_of(r) for r in resources if r.get("resourceType") == "Coverage"}
    return [r for r in resources if of_visit.get(id(r), "") in {"", encounter}]


def _visit_of(coverage: Resource) -> str:
    found = next((e for e in _extensions(coverage, "coverage-encounter")), {})
    reference = found.get("valueReference")
    return str(reference.get("reference", "")) if isinstance(reference, dict) else ""


def _charge(item: Resource) -> Resource:
    code = item.get("code") if isinstance(item.get("code"), dict) else {}
    found = [*_coded(item, "procedure-code"), *_coded(item, "revenue-code"), *_rows(code or {}, "coding")]
    kept = [e for e in _rows(item, "extension") if not str(e.get("url", "")).startswith(HERE)]
    modifiers = [{"url": f"{OURS}modifier", "valueCode": str(c["code"])} for c in _coded(item, "modifier-code")]
    revenue = [{"url": f"{OURS}revenue-code", "valueCode": str(c["code"])} for c in _coded(item, "revenue-code")][:1]
    made = {**item, "code": {**(code or {}), "coding": found}, "extension": [*kept, *modifiers, *revenue]}
    price = next(
        (e["valueMoney"] for e in _extensions(item, "net-price") if isinstance(e.get("valueMoney"), dict)), None
    )
    if price is not None and "priceOverride" not in item:
        made["priceOverride"] = price
    if next(_extensions(item, "offset-by"), None) is not None:
        made["status"] = "aborted"  # its credit stands beside it: neither is billed
    return made


def _coded(item: Resource, name: str) -> list[Resource]:
    """The codings of an extension, in the order of priority, under the systems that everybody knows."""
    found = sorted(_extensions(item, name), key=_priority)
    concepts = [e.get("valueCodeableConcept") or _inner(e, "code").get("valueCodeableConcept") for e in found]
    codings = [c for concept in concepts if isinstance(concept, dict) for c in _rows(concept, "coding")]
    return [{"system": _system(c), "code": str(c["code"])} for c in codings if c.get("code")]


def _system(coding: Resource) -> str:
    system = str(coding.get("system", ""))
    return SYSTEMS.get(system.rpartition("/CodeSystem/BillCodes-")[2], system) if "BillCodes-" in system else system


def _priority(extension: Resource) -> int:
    said = _inner(extension, f"{HERE}priority").get("valueUnsignedInt", 0)
    return said if isinstance(said, int) else 0


def _inner(extension: Resource, url: str) -> Resource:
    return next((e for e in _rows(extension, "extension") if e.get("url") == url), {})


def _extensions(resource: Resource, name: str) -> Iterator[Resource]:
    return (e for e in _rows(resource, "extension") if e.get("url") == f"{HERE}{name}")


def _class(said: Resource) -> Resource:
    kind = said.get("type")
    if not isinstance(kind, dict):
        return said
    codings = [{**c, "system": CLASS} if c.get("system") == CLASS_ALIAS else c for c in _rows(kind, "coding")]
    return {**said, "type": {**kind, "coding": codings}}


def _rows(resource: Resource, element: str) -> list[Resource]:
    found = resource.get(element)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
