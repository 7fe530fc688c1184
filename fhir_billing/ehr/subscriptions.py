"""Never miss a close: a rest-hook rings for most, a poll by `_lastUpdated` finds what it missed.

A notification is only a doorbell. EHRs send it empty or with the resource, by POST to the endpoint or PUT to
endpoint/Type/id. Spec: FHIR R4 Subscription.channel (rest-hook), Encounter search `_lastUpdated`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.fhir.text import loads

CRITERIA = "Encounter?status=finished"
OVERLAP = timedelta(minutes=2)
"""Clocks differ and writes are indexed late: each poll looks back this far, and what is known already is no news."""
REASON = "fhir-billing: a closed visit is read and billed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang:
    """What a notification says, if anything; nothing of it is trusted beyond which visit to read."""

    encounter: str = ""
    version: str = ""


def read_notification(method: str, kind: str, resource_id: str, body: bytes) -> Rang:
    """The visit that a notification is about; an empty one means: look for yourself."""
    version = ""
    found = ""
    if kind == "Encounter" and resource_id:
        found = f"Encounter/{resource_id}"
    if body.strip():
        try:
            resource = loads(body)
        except MalformedResource:
            resource = None
        if isinstance(resource, dict) and resource.get("resourceType") == "Encounter" and resource.get("id"):
            found = f"Encounter/{resource['id']}"
            version = str((resource.get("meta") or {}).get("versionId", ""))
    return Rang(encounter=found[:200], version=version[:64])


def subscribe(client: FhirClient, endpoint: str, secret: str) -> Resource:
    """Ask the EHR to ring at `endpoint` for every closed visit; asking again with the same endpoint changes nothing."""
    wanted: Resource = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": REASON,
        "criteria": CRITERIA,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "header": [f"X-Hook-Secret: {secret}"],
        },
    }
    for known in client.search("Subscription", {"criteria": CRITERIA}):
        if (known.get("channel") or {}).get("endpoint") == endpoint:
            version = str((known.get("meta") or {}).get("versionId", ""))
            return client.update({**wanted, "id": known["id"]}, version=version)
    return client.create(wanted)


def poll(client: FhirClient, cursor: str) -> tuple[list[tuple[str, str]], str]:
    """Finished visits changed since the cursor (ISO time, empty for all), as (`Encounter/ID`, version), and the next cursor."""
    params = [("status", "finished"), ("_sort", "_lastUpdated"), ("_count", "100")]
    if cursor:
        since = datetime.fromisoformat(cursor) - OVERLAP
        params.append(("_lastUpdated", f"ge{since.astimezone(UTC).isoformat(timespec='seconds')}"))
    found: list[tuple[str, str]] = []
    newest = cursor
    for resource in client.search("Encounter", params):
        if resource.get("resourceType") != "Encounter" or not resource.get("id"):
            continue
        meta = resource.get("meta") or {}
        found.append((f"Encounter/{resource['id']}", str(meta.get("versionId", ""))))
        newest = _later(newest, str(meta.get("lastUpdated", "")))
    return found, newest


def _later(one: str, other: str) -> str:
    if not one or not other:
        return one or other
    return max(one, other, key=datetime.fromisoformat)
