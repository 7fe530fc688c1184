"""What we wrote into a chart is found again by our identifier; an EHR that takes none of it is an error, not a receipt."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_billing.domain.errors import BillingError, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.putting import NOT_TAKEN, number_of
from fhir_billing.ehr.rungs import Put
from fhir_billing.fhir.ours import CLAIM_NUMBER

__all__ = ["find", "proof", "refuse_nothing"]

_REFUSED: dict[str, type[BillingError]] = {one.code: one for one in (ScopeMissing, NotThere, Unsupported)}


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
