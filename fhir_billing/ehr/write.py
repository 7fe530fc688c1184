"""What we write into a chart is found again by our identifier, written only when it changed, and never over somebody else.

Order matters: Claim first, then what points at it. Spec: If-None-Exist, If-Match; conditional references are resolved here,
for few EHRs resolve them outside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_billing.domain.errors import BillingError, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.putting import NOT_TAKEN, by_number, number_of, receipt, resolved, same, settle
from fhir_billing.ehr.rungs import Put
from fhir_billing.fhir.ours import CLAIM_NUMBER, where

__all__ = ["NOT_TAKEN", "find", "number_of", "proof", "same", "write"]

_REFUSED: dict[str, type[BillingError]] = {one.code: one for one in (ScopeMissing, NotThere, Unsupported)}


def write(client: FhirClient, resources: Sequence[Mapping[str, Any]]) -> str:
    """Make the chart hold these resources; says what was created, updated, there already, or is not taken by this EHR.

    Most large EHRs take only some of these kinds: what one refuses is said in the receipt, and the others are written.
    When it takes none at all, that is raised.
    """
    placed: dict[str, str] = {}
    puts: list[Put] = []
    for resource in resources:
        kind, number = str(resource["resourceType"]), number_of(resource)
        put = settle(client, by_number(resolved(dict(resource), placed), number))
        puts.append(put)
        if put.reference:
            placed[where(kind, number)] = put.reference
    refuse_nothing(puts)
    return receipt(puts)


def refuse_nothing(puts: Sequence[Put]) -> None:
    """Raise when an EHR takes nothing at all of what it should hold."""
    if puts and all(put.verb == "not taken" for put in puts):
        kinds = ", ".join(dict.fromkeys(put.kind for put in puts))
        error = _REFUSED.get(puts[-1].why, ScopeMissing)
        raise error(f"the EHR takes none of {kinds} from us", fix="check its scopes, or choose another rung")


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


def find(client: FhirClient, resource_type: str, number: str) -> Resource | None:
    """What we wrote of this type for a claim number."""
    for resource in client.search(resource_type, {"identifier": f"{CLAIM_NUMBER}|{number}"}):
        if resource.get("resourceType") == resource_type and number_of(resource) == number:
            return resource
    return None
