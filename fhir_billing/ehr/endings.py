"""A subscription that nobody wants any more goes on ringing, with our secret in it, until it is switched off at the EHR.

Ours is what gives our reason and rings at our address, or what we held before; nobody else's is touched. It is switched off
and loses the secret, then it is deleted where the EHR allows that.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from fhir_billing.domain.errors import BillingError, NotNow
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.subscriptions import CRITERIA, REASON


def end(
    client: FhirClient, endpoint: str, *, ways: Collection[str], kept: Collection[str], before: Collection[str]
) -> set[str]:
    """End what is ours and neither kept nor of a way that is wanted; the ids of those that the EHR lets nobody end.

    Of a wanted way only what rings elsewhere, or follows another topic, than what is kept is ended. Raises NotNow.
    """
    known = {*kept, *before}
    ours = [one for one in client.search("Subscription", {"_count": "100"}) if _is_ours(one, endpoint, known)]
    shapes = {_shape(one) for one in ours if one["id"] in kept}
    replaced = {way for way, _, _ in shapes}
    left = set()
    for one in ours:
        shape = _shape(one)
        wanted = shape[0] in ways and (shape[0] not in replaced or shape in shapes)
        if one["id"] not in kept and not wanted and not _is_over(one) and not _ended(client, one):
            left.add(str(one["id"]))
    return left


def _part(one: Resource, name: str) -> Resource:
    said = one.get(name)
    return said if isinstance(said, dict) else {}


def _is_ours(one: Resource, endpoint: str, known: Collection[str]) -> bool:
    if one.get("resourceType") != "Subscription" or not isinstance(one.get("id"), str) or one.get("reason") != REASON:
        return False
    return _part(one, "channel").get("endpoint") == endpoint or one["id"] in known


def _shape(one: Resource) -> tuple[str, str, str]:
    """Its way, where it rings, and for what."""
    channel, criteria = _part(one, "channel"), str(one.get("criteria", ""))
    way = "websocket" if channel.get("type") == "websocket" else "hook" if criteria == CRITERIA else "topic"
    return way, str(channel.get("endpoint", "")), criteria


def _is_over(one: Resource) -> bool:
    return one.get("status") == "off" and not _part(one, "channel").get("header")


def _ended(client: FhirClient, one: Resource) -> bool:
    bare = {name: value for name, value in _part(one, "channel").items() if name != "header"}
    version = str(_part(one, "meta").get("versionId", ""))
    ended = False
    with suppress(BillingError):
        client.update({**one, "status": "off", "channel": bare}, version=version)
        ended = True
    try:
        client.request("DELETE", f"Subscription/{one['id']}")
    except NotNow:
        if not ended:
            raise
    except BillingError:
        return ended
    return True
