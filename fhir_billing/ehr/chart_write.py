"""An answer changes the chart only where it must: the visit is read at that moment, and nothing is written that is there already.

What the answer makes is created once by our identifier; what it changes is changed in the version that was read. Most EHRs
take few kinds of resource from an app: one that is not taken is said, and no fault.
Spec: If-None-Exist, If-Match.
"""

from __future__ import annotations

from collections.abc import Callable

from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.putting import NOT_TAKEN
from fhir_billing.fhir.answered import ANSWER, made_by, named

WRITTEN = "written"


def lay(client: FhirClient, encounter: str, change: Callable[[list[Resource]], list[Resource]]) -> str:
    """Write what the change makes of the visit; `written`, or what this EHR does not take. Raises NotNow to try again."""
    try:
        read = gather(client, encounter)
    except NOT_TAKEN as error:
        return f"the chart cannot be read ({error.code})"
    before = {named(resource): resource for resource in read}  # what we made keeps its name under any id
    refused = []
    for resource in change(read):
        held = before.get(named(resource))
        if held == resource or resource.get("resourceType") == "OperationOutcome":
            continue
        try:
            _write(client, resource, held)
        except NOT_TAKEN as error:
            refused.append(f"{resource['resourceType']} not taken ({error.code})")
    return ", ".join(refused) or WRITTEN


def _write(client: FhirClient, resource: Resource, held: Resource | None) -> None:
    if held is not None:
        version = str((held.get("meta") or {}).get("versionId", ""))
        client.update(resource, version=version)
        return
    new = {name: value for name, value in resource.items() if name != "id"}
    made = client.create(new, unless=f"identifier={ANSWER}|{made_by(resource)}")
    if made.get("code") != new.get("code") or made.get("verificationStatus") != new.get("verificationStatus"):
        # It was there, and the search of the visit did not show it: an earlier answer.
        version = str((made.get("meta") or {}).get("versionId", ""))
        client.update({**new, "id": made["id"]}, version=version)
