"""What we write into a chart is found again by our identifier, written only when it changed, and never over somebody else.

Order matters: Claim first, then what points at it. Spec: If-None-Exist, If-Match; conditional references are resolved here,
for few EHRs resolve them outside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_billing.domain.errors import BillingError, Contended, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.fhir.answered import in_chart
from fhir_billing.fhir.ours import CLAIM_NUMBER, where

NOT_TAKEN = (ScopeMissing, NotThere, Unsupported)
"""How an EHR says that it does not take a kind of resource, or not from us."""


def write(client: FhirClient, resources: Sequence[Mapping[str, Any]]) -> str:
    """Make the chart hold these resources; says what was created, updated, there already, or is not taken by this EHR.

    Most large EHRs take only some of these kinds: what one refuses is said in the receipt, and the others are written.
    When it takes none at all, that is raised.
    """
    placed: dict[str, str] = {}
    said = []
    refused: BillingError | None = None
    for resource in resources:
        kind, number = str(resource["resourceType"]), number_of(resource)
        try:
            held, verb = _put(client, _resolved(dict(resource), placed), number)
        except NOT_TAKEN as error:
            refused = error
            said.append(f"{kind} not taken ({error.code})")
            continue
        placed[where(kind, number)] = f"{kind}/{held['id']}"
        said.append(f"{kind} {verb}")
    if refused is not None and not placed:
        raise refused
    return ", ".join(said)


def proof(client: FhirClient, number: str) -> dict[str, Resource]:
    """What the EHR answers, by type, when it is asked again for what we wrote of a claim; a kind it does not take is not there."""
    found: dict[str, Resource] = {}
    for kind in ("Task", "Claim", "ClaimResponse", "ExplanationOfBenefit"):
        try:
            held = find(client, kind, number)
        except NOT_TAKEN:
            continue
        if held is not None:
            found[kind] = held
    return found


def _put(client: FhirClient, wanted: Resource, number: str, *, last: bool = False) -> tuple[Resource, str]:
    """Create or update; when somebody was quicker the chart is read once more, and then this gives way."""
    held = find(client, wanted["resourceType"], number)
    if held is not None and same(wanted, held):
        return held, "unchanged"
    try:
        if held is None:
            made = client.create(wanted, unless=f"identifier={CLAIM_NUMBER}|{number}")
            if last or same(wanted, made):
                return made, "created"
        else:
            version = str((held.get("meta") or {}).get("versionId", ""))
            return client.update({**wanted, "id": held["id"]}, version=version), "updated"
    except Contended:
        if last:
            raise
    return _put(client, wanted, number, last=True)


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
    """Our conditional references become the chart's own; one to what this EHR did not take names it by identifier."""
    if isinstance(value, list):
        return [_resolved(child, placed) for child in value]
    if not isinstance(value, dict):
        return value
    literal = str(value.get("reference", ""))
    if literal in placed:
        return {**value, "reference": placed[literal]}
    kind, ours, number = literal.partition(f"?identifier={CLAIM_NUMBER}|")
    elsewhere = (kind, {"system": CLAIM_NUMBER, "value": number}) if ours else in_chart(literal)
    if elsewhere is not None:
        others = {key: child for key, child in value.items() if key != "reference"}
        return {**others, "type": elsewhere[0], "identifier": elsewhere[1]}
    return {key: _resolved(child, placed) for key, child in value.items()}
