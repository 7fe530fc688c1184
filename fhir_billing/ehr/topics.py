"""Where an EHR offers topics, it numbers what it tells of, says now and then that it is there, and can be asked what was missed.

A topic is a SubscriptionTopic, a `Basic` that stands for one in R4, or only an address in the CapabilityStatement.
Spec: Subscriptions R5 Backport 1.1 (R4): backport-subscription, backport-heartbeat-period, backport-payload-content, `$status`,
`$events`; R5 cross-version extension-SubscriptionTopic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fhir_billing.cycle.looking import Subscribed
from fhir_billing.cycle.ports import Sighting
from fhir_billing.domain.errors import Contended, EhrBrokeContract, NotAllowed, NotThere
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.sightings import version_of
from fhir_billing.fhir.notification import Notification, topic_notification
from fhir_billing.fhir.text import loads

IG: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
PROFILE: Final = f"{IG}/backport-subscription"
CANONICAL: Final = f"{IG}/capabilitystatement-subscriptiontopic-canonical"
CLOSED: Final = re.compile(r"(?i)encounter.*(complet|clos|finish|discharg|end\b)")
"""A topic of closed visits, by its address."""
REASON: Final = "fhir-billing: a closed visit is read and billed"
HEARTBEAT: Final = 60
"""Seconds."""
SECRET_HEADER: Final = "X-Hook-Secret"  # noqa: S105 - the header's name


class NoTopic(NotThere):
    """The EHR offers no topic of closed visits."""

    code = "no-topic"


def offered(client: FhirClient) -> str:
    """The address of the EHR's topic of closed visits. Raises NoTopic."""
    for kind, query in (
        ("SubscriptionTopic", {"_count": "100"}),
        ("Basic", {"code": "SubscriptionTopic", "_count": "100"}),
    ):
        try:
            for resource in client.search(kind, query):
                url = str(resource.get("url") or _of_basic(resource))
                if resource.get("resourceType") == kind and CLOSED.search(url):
                    return url
        except (NotThere, NotAllowed, EhrBrokeContract):
            continue
    for url in _declared(client.capabilities()):
        if CLOSED.search(url):
            return url
    raise NoTopic("the EHR offers no topic of closed visits", fix="let it ring by hook, or poll it")


def _of_basic(resource: Resource) -> str:
    return next((str(row.get("valueUri", "")) for row in _ends(resource, "SubscriptionTopic.url")), "")


def _ends(resource: Resource, end: str) -> Iterator[Resource]:
    return (row for row in _rows(resource, "extension") if str(row.get("url", "")).endswith(end))


def _declared(capabilities: Resource) -> Iterator[str]:
    for rest in _rows(capabilities, "rest"):
        for kind in _rows(rest, "resource"):
            if kind.get("type") == "Subscription":
                yield from (str(row.get("valueCanonical", "")) for row in _ends(kind, CANONICAL))


def _rows(resource: Resource, name: str) -> list[Resource]:
    found = resource.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def subscription(topic: str, endpoint: str, secret: str, heartbeat: int) -> Resource:
    """What we ask for: which visit closed, and nothing more of it. Without an endpoint, over a websocket."""
    channel: Resource = {
        "type": "rest-hook" if endpoint else "websocket",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{IG}/backport-payload-content", "valueCode": "id-only"}]},
        "extension": [{"url": f"{IG}/backport-heartbeat-period", "valueUnsignedInt": heartbeat}],
    }
    if endpoint:
        channel |= {"endpoint": endpoint, "header": [f"{SECRET_HEADER}: {secret}"]}
    return {
        "resourceType": "Subscription",
        "meta": {"profile": [PROFILE]},
        "status": "requested",
        "reason": REASON,
        "criteria": topic,
        "channel": channel,
    }


def subscribe(client: FhirClient, endpoint: str, secret: str, *, heartbeat: int = HEARTBEAT) -> Subscribed:
    """Follow the EHR's topic of closed visits; one that follows it already is woken where it sleeps, and else left alone."""
    wanted = subscription(offered(client), endpoint, secret, heartbeat)
    way = "topic" if endpoint else "websocket"
    for known in client.search("Subscription", {"criteria": wanted["criteria"]}):
        if not _is_ours(known, wanted):
            continue
        asleep = str(known.get("status")) not in {"active", "requested"}
        if asleep or known["channel"].get("header") != wanted["channel"].get("header"):
            try:
                known = client.update({**wanted, "id": known["id"]}, version=version_of(known))  # noqa: PLW2901
            except Contended:
                known = client.read(f"Subscription/{known['id']}")  # noqa: PLW2901 - the EHR woke it meanwhile
        return _said(known, way, heartbeat)
    return _said(client.create(wanted), way, heartbeat)


def _is_ours(known: Resource, wanted: Resource) -> bool:
    channel = known.get("channel")
    if not isinstance(channel, dict) or not known.get("id"):
        return False
    same = all(channel.get(name) == wanted["channel"].get(name) for name in ("type", "endpoint"))
    if known.get("resourceType") != "Subscription" or known.get("criteria") != wanted["criteria"] or not same:
        return False
    return bool(channel.get("endpoint")) or known.get("reason") == REASON


def _said(held: Resource, way: str, heartbeat: int) -> Subscribed:
    return Subscribed(way=way, id=str(held.get("id", "")), status=str(held.get("status", "")), heartbeat=heartbeat)


def status(client: FhirClient, which: str) -> tuple[str, int]:
    """How a subscription is (gone: the EHR has it no more), and how many events it has had; 0 where nobody says."""
    try:
        said = _asked(client, f"Subscription/{which}/$status", {})
    except (Unsupported, NotThere, NotAllowed):
        said = None
    if said is not None:
        return said.status, said.count
    try:
        return str(client.read(f"Subscription/{which}").get("status", "")), 0
    except NotThere:
        return "gone", 0


def events(client: FhirClient, which: str, first: int, last: int) -> list[Sighting] | None:
    """The visits of these events, both ends included; None where the EHR does not tell of each."""
    query = {"eventsSinceNumber": str(first), "eventsUntilNumber": str(last)}
    try:
        said = _asked(client, f"Subscription/{which}/$events", query)
    except (Unsupported, NotThere, NotAllowed):
        return None
    if said is None:
        return None
    told = {event.number for event in said.events if event.rang.encounter}
    if last - first >= len(told) or any(number not in told for number in range(first, last + 1)):
        return None
    return [Sighting(encounter=rang.encounter, version=rang.version) for rang in said.rang]


def _asked(client: FhirClient, path: str, query: dict[str, str]) -> Notification | None:
    found = loads(client.request("GET", path, params=query).content)
    if not isinstance(found, dict):
        return None
    if found.get("resourceType") == "Parameters":
        found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": found}]}
    return topic_notification(found)
