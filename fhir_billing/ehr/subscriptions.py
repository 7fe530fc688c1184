"""Never miss a close: a rest-hook rings for most, a poll by `_lastUpdated` finds what it missed.

A notification is only a doorbell. EHRs send it empty or with the resource, by POST to the endpoint or PUT to
endpoint/Type/id. Spec: FHIR R4 Subscription.channel (rest-hook), Encounter search `_lastUpdated`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from fhir_billing.cycle.ports import Looked, Sighting
from fhir_billing.domain.errors import Contended, EhrBrokeContract, NotAllowed
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.sightings import OVERLAP, believed, is_visit, seen, version_of
from fhir_billing.fhir.instant import instant

CRITERIA = "Encounter?status=finished"
MOST_VISITS = 2_000
"""What one poll brings home: an EHR with years of closed visits is read in pieces."""
MOST_ODD = 20
"""Visits without a believable time that one poll shows; all of them ring."""
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
        channel = known.get("channel")
        if known.get("resourceType") != "Subscription" or known.get("criteria") != CRITERIA:
            continue
        if not isinstance(channel, dict) or channel.get("endpoint") != endpoint or not known.get("id"):
            continue
        if known.get("status") == "active" and channel.get("header") == wanted["channel"]["header"]:
            return known
        return _awake(client, client.update({**wanted, "id": known["id"]}, version=version_of(known)))
    return _awake(client, client.create(wanted))


def _awake(client: FhirClient, made: Resource) -> Resource:
    """Some EHRs wake a requested subscription by themselves, some wait for the asker to do it; one that sleeps on has the poll."""
    held = client.read(f"Subscription/{made['id']}") if made.get("status") == "requested" else made
    if held.get("status") != "requested":
        return held
    try:
        return client.update({**held, "status": "active"}, version=version_of(held))
    except (Contended, NotAllowed, EhrBrokeContract):
        return held


def poll(client: FhirClient, cursor: str, now: datetime, *, most: int = MOST_VISITS) -> Looked:
    """Visits changed since the cursor (ISO time), in any status; without one, all that are finished. And the next cursor.

    Read in the order of change, `most` at a time: the cursor stops where the reading stopped, and the next poll goes on there.
    An EHR that does not sort is read to its end; one that insists on a status is asked for the finished ones. A time that
    cannot be right moves no cursor and stops nothing: its visit rings; one that cannot be read is shown. A cursor that cannot be right is none.
    """
    since = believed(cursor, now)
    try:
        return _poll(client, since, now, most, finished=since is None)
    except Unsupported:
        if since is None:
            raise
        return _poll(client, since, now, most, finished=True)


def _poll(client: FhirClient, since: datetime | None, now: datetime, most: int, *, finished: bool) -> Looked:
    params = [("_sort", "_lastUpdated"), ("_count", "100")]
    if since:
        params.append(("_lastUpdated", f"ge{(since - OVERLAP).isoformat(timespec='seconds')}"))
    if finished:
        params.append(("status", "finished"))
    found: list[Sighting] = []
    odd: list[dict[str, str]] = []
    newest, before, sorted_so_far = since, None, True
    for resource in client.search("Encounter", params):
        if not is_visit(resource):
            continue
        if finished and resource.get("status") != "finished":
            continue
        one = seen(resource)
        at = believed(one.at, now)
        if at is None:
            odd += [_odd(one)] if one.at and instant(one.at) is None and len(odd) < MOST_ODD else []
        else:
            sorted_so_far = sorted_so_far and (before is None or before <= at)
            if len(found) >= most and sorted_so_far and _is_past_overlap(newest, since, now) and at != before:
                break
            before, newest = at, max(newest or at, at)
        found.append(one)
    cursor = min(newest, now).astimezone(UTC).isoformat() if newest else ""
    return Looked(sightings=tuple(found), cursor=cursor, findings=tuple(odd))


def _is_past_overlap(newest: datetime | None, since: datetime | None, now: datetime) -> bool:
    """Whether stopping here still moves the next poll forward."""
    return newest is not None and (since is None or min(newest, now) > since + OVERLAP)


def _odd(one: Sighting) -> dict[str, str]:
    """A visit whose time nobody believes, for a person to see."""
    return {
        "key": "no-instant",
        "say": f"the EHR's time of {one.encounter} cannot be right; the visit is read all the same",
        "fix": "look at its meta.lastUpdated, and at the clocks",
        "at": "meta.lastUpdated",
        "body": json.dumps(one.at[:100]),
    }
