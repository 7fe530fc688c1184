"""Never miss a close: a rest-hook rings for most, a poll by `_lastUpdated` finds what it missed.

A notification is only a doorbell. EHRs send it empty or with the resource, by POST to the endpoint or PUT to
endpoint/Type/id. Spec: FHIR R4 Subscription.channel (rest-hook), Encounter search `_lastUpdated`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fhir_billing.cycle.ports import Sighting
from fhir_billing.domain.errors import Contended, EhrBrokeContract, NotAllowed
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported

CRITERIA = "Encounter?status=finished"
OVERLAP = timedelta(minutes=2)
"""Clocks differ and writes are indexed late: each poll looks back this far, and what is known already is no news."""
MOST_VISITS = 2_000
"""What one poll brings home: an EHR with years of closed visits is read in pieces."""
REASON = "fhir-billing: a closed visit is read and billed"


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
        channel = known.get("channel") or {}
        if known.get("resourceType") != "Subscription" or known.get("criteria") != CRITERIA:
            continue
        if channel.get("endpoint") != endpoint:
            continue
        if known.get("status") == "active" and channel.get("header") == wanted["channel"]["header"]:
            return known
        version = str((known.get("meta") or {}).get("versionId", ""))
        return _awake(client, client.update({**wanted, "id": known["id"]}, version=version))
    return _awake(client, client.create(wanted))


def _awake(client: FhirClient, made: Resource) -> Resource:
    """Some EHRs wake a requested subscription by themselves, some wait for the asker to do it; one that sleeps on has the poll."""
    held = client.read(f"Subscription/{made['id']}") if made.get("status") == "requested" else made
    if held.get("status") != "requested":
        return held
    try:
        return client.update({**held, "status": "active"}, version=str((held.get("meta") or {}).get("versionId", "")))
    except (Contended, NotAllowed, EhrBrokeContract):
        return held


def poll(client: FhirClient, cursor: str, *, most: int = MOST_VISITS) -> tuple[list[Sighting], str]:
    """Visits changed since the cursor (ISO time), in any status; without one, all that are finished. And the next cursor.

    Read in the order of change, `most` at a time: the cursor stops where the reading stopped, and the next poll goes on there.
    An EHR that does not sort is read to its end; one that insists on a status is asked for the finished ones.
    """
    try:
        return _poll(client, cursor, most, finished=not cursor)
    except Unsupported:
        if not cursor:
            raise
        return _poll(client, cursor, most, finished=True)


def _poll(client: FhirClient, cursor: str, most: int, *, finished: bool) -> tuple[list[Sighting], str]:
    params = [("_sort", "_lastUpdated"), ("_count", "100")]
    if cursor:
        since = datetime.fromisoformat(cursor) - OVERLAP
        params.append(("_lastUpdated", f"ge{since.astimezone(UTC).isoformat(timespec='seconds')}"))
    if finished:
        params.append(("status", "finished"))
    found: list[Sighting] = []
    newest, before, sorted_so_far = cursor, "", True
    for resource in client.search("Encounter", params):
        if resource.get("resourceType") != "Encounter" or not resource.get("id"):
            continue
        if finished and resource.get("status") != "finished":
            continue
        seen = _seen(resource)
        sorted_so_far = sorted_so_far and bool(seen.at) and _later(before, seen.at) == seen.at
        if len(found) >= most and sorted_so_far and _is_past_overlap(newest, cursor) and seen.at != before:
            break
        before = seen.at
        found.append(seen)
        newest = _later(newest, seen.at)
    return found, newest


def _seen(resource: Resource) -> Sighting:
    said = resource.get("meta")
    meta = said if isinstance(said, dict) else {}
    return Sighting(
        encounter=f"Encounter/{resource['id']}",
        version=str(meta.get("versionId", "")),
        status=str(resource.get("status", "")),
        at=str(meta.get("lastUpdated", "")),
    )


def _is_past_overlap(newest: str, cursor: str) -> bool:
    """Whether stopping here still moves the next poll forward."""
    return not cursor or datetime.fromisoformat(newest) > datetime.fromisoformat(cursor) + OVERLAP


def _later(one: str, other: str) -> str:
    if not one or not other:
        return one or other
    try:
        return max(one, other, key=datetime.fromisoformat)
    except (ValueError, TypeError):
        raise EhrBrokeContract("the EHR's meta.lastUpdated of a visit is no instant") from None
