"""A small chart to change: one office visit on the demo's or the Synthea site, resource by resource."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

from fhir_billing import mapping_files
from fhir_billing.cycle.draft import DraftedVisit, drafted
from fhir_billing.mapping.chart import Chart, gathered
from fhir_billing.mapping.site import Site

ROOT = Path(__file__).resolve().parents[3]
Resource = dict[str, Any]

SCT, CPT, ICD = "http://snomed.info/sct", "http://www.ama-assn.org/go/cpt", "http://hl7.org/fhir/sid/icd-10-cm"


@cache
def site(name: str = "synthea") -> Site:
    """A site of the repository."""
    return mapping_files.load(name, ROOT / "mappings")


def coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


PATIENT: Resource = {
    "resourceType": "Patient", "id": "p", "name": [{"family": "Zztest", "given": ["Ada", "Q"]}], "gender": "female",
    "birthDate": "1980-02-29",
    "address": [{"line": ["1 Sample Street"], "city": "Sampleton", "state": "Massachusetts", "postalCode": "99999-0001"}],
}  # fmt: skip
ENCOUNTER: Resource = {
    "resourceType": "Encounter", "id": "e", "status": "finished", "meta": {"versionId": "7"},
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "type": [coded(SCT, "185349003")],
    "subject": {"reference": "Patient/p"}, "period": {"start": "2026-01-10T09:00:00-05:00", "end": "2026-01-10T09:30:00-05:00"},
    "serviceProvider": {"reference": "Organization/o"},
}  # fmt: skip
CONDITION: Resource = {
    "resourceType": "Condition", "id": "c", "code": coded(SCT, "38341003"), "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
}  # fmt: skip
COVERAGE: Resource = {
    "resourceType": "Coverage", "id": "v", "status": "active", "beneficiary": {"reference": "Patient/p"},
    "subscriber": {"reference": "Patient/p"}, "subscriberId": "EX1", "payor": [{"reference": "Organization/a"}], "order": 1,
    "relationship": coded("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self"), "period": {"start": "2026-01-01"},
}  # fmt: skip
PAYER: Resource = {"resourceType": "Organization", "id": "a", "name": "Aetna"}
PROVIDER: Resource = {"resourceType": "Organization", "id": "o", "name": "Example Organization"}


def chart(*more: Resource, without: str = "", **changes: Any) -> list[Resource]:
    """The visit's resources; `encounter={...}` and the like change one, `without` leaves one out by type."""
    base = {
        "patient": PATIENT,
        "encounter": ENCOUNTER,
        "condition": CONDITION,
        "coverage": COVERAGE,
        "payer": PAYER,
        "provider": PROVIDER,
    }
    made = [{**copy.deepcopy(resource), **changes.get(name, {})} for name, resource in base.items()]
    return [r for r in made if r["resourceType"] != without] + list(more)


def condition(number: int, code: str = "38341003") -> Resource:
    return {**copy.deepcopy(CONDITION), "id": f"c{number}", "code": coded(SCT, code)}


def procedure(number: int, code: str = "73761001", **more: Any) -> Resource:
    return {
        "resourceType": "Procedure", "id": f"pr{number}", "status": "completed", "code": coded(SCT, code),
        "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
        "performedDateTime": "2026-01-10T09:10:00-05:00", **more,
    }  # fmt: skip


def charge(number: int, concept: Resource, price: str | None = None, **more: Any) -> Resource:
    from decimal import Decimal

    priced = {"priceOverride": {"value": Decimal(price), "currency": "USD"}} if price else {}
    return {
        "resourceType": "ChargeItem", "id": f"ci{number}", "status": "billable", "code": concept, "subject": {"reference": "Patient/p"},
        "context": {"reference": "Encounter/e"}, **priced, **more,
    }  # fmt: skip


def draft(resources: list[Resource], on: Site | None = None, *, trace: bool = False) -> DraftedVisit:
    """Draft and scrub the only finished visit."""
    return draft_of(gathered(resources), on, trace=trace)


def draft_of(found: Chart, on: Site | None = None, *, trace: bool = False) -> DraftedVisit:
    (encounter,) = found.finished()
    return drafted(found, encounter, on or site(), trace=trace)


def keys(visit: DraftedVisit) -> list[str]:
    """The keys of what holds a visit."""
    return [finding.key for finding in visit.findings if finding.is_blocking]
