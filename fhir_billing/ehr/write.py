"""What we write into a chart is found again by our identifier, written only when it changed, and never over somebody else.

Order matters: Claim first, then what points at it. Spec: If-None-Exist, If-Match; conditional references are resolved here,
for few EHRs resolve them outside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_billing.domain.errors import Contended
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.fhir.ours import CLAIM_NUMBER


def write(client: FhirClient, resources: Sequence[Mapping[str, Any]]) -> str:
    """Make the chart hold these resources; says what was created, updated or there already."""
    placed: dict[str, str] = {}
    said = []
    for resource in resources:
        wanted = _resolved(dict(resource), placed)
        number = number_of(wanted)
        held, verb = _put(client, wanted, number)
        placed[f"{wanted['resourceType']}?identifier={CLAIM_NUMBER}|{number}"] = (
            f"{wanted['resourceType']}/{held['id']}"
        )
        said.append(f"{wanted['resourceType']} {verb}")
    return ", ".join(said)


def _put(client: FhirClient, wanted: Resource, number: str) -> tuple[Resource, str]:
    for attempt in (1, 2):
        held = find(client, wanted["resourceType"], number)
        if held is None:
            query = f"identifier={CLAIM_NUMBER}|{number}"
            return client.create(wanted, unless=query), "created"
        if same(wanted, held):
            return held, "unchanged"
        version = str((held.get("meta") or {}).get("versionId", ""))
        try:
            return client.update({**wanted, "id": held["id"]}, version=version), "updated"
        except Contended:
            if attempt == 2:
                raise
    raise Contended("somebody else keeps writing")


def find(client: FhirClient, resource_type: str, number: str) -> Resource | None:
    """What we wrote of this type for a claim number."""
    for resource in client.search(resource_type, {"identifier": f"{CLAIM_NUMBER}|{number}"}):
        if resource.get("resourceType") == resource_type and number_of(resource) == number:
            return resource
    return None


def number_of(resource: Mapping[str, Any]) -> str:
    """Our number on a resource."""
    found = (i.get("value") for i in resource.get("identifier") or [] if i.get("system") == CLAIM_NUMBER)
    return str(next(found, ""))


def same(wanted: Resource, held: Resource) -> bool:
    """Whether the chart holds it already; what the EHR itself adds (id, meta, text) does not count."""
    own = {"id", "meta", "text", "implicitRules"}
    return _bare(wanted, own) == _bare(held, own)


def _bare(resource: Resource, without: set[str]) -> Resource:
    return {key: value for key, value in resource.items() if key not in without}


def _resolved(value: Any, placed: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: placed.get(child, child) if key == "reference" and isinstance(child, str) else _resolved(child, placed)
            for key, child in value.items()
        }
    return [_resolved(child, placed) for child in value] if isinstance(value, list) else value
