"""A notification says at most which visits to read; EHRs send it empty, with the resource, or with a Bundle around it.

It arrives by POST to the endpoint, by PUT to endpoint/Type/id, or over a websocket, and nothing else in it is believed. One of a
topic subscription says too how many events there were, so that whoever counts sees a gap.
Spec: FHIR R4 Subscription.channel (rest-hook); Subscriptions R5 Backport 1.1, notification Bundle (Parameters in R4,
SubscriptionStatus in R4B and R5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.text import loads

Resource = dict[str, Any]
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(r"(?:^|/)Encounter/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?$")
_BUNDLES = frozenset({"history", "subscription-notification", "searchset"})
"""Bundle.type of a notification, and of an answer to $status or $events."""
MOST_EVENTS = 10_000
"""Of one notification; what is behind is a gap, and filled as one."""


class Says(StrEnum):
    """What a notification is, by SubscriptionStatus.type; PLAIN: none of a topic."""

    PLAIN = ""
    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    STATUS = "query-status"
    EVENTS = "query-event"


_TYPES = frozenset(says for says in Says if says)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang:
    """A visit that somebody rang for; an empty one means: look for yourself."""

    encounter: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One numbered event of a topic subscription; `rang` is empty when it says nothing of a visit."""

    number: int
    rang: Rang = Rang()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What a notification says, if anything; nothing of it is trusted beyond which visits to read."""

    says: Says = Says.PLAIN
    rang: tuple[Rang, ...] = (Rang(),)
    subscription: str = ""
    """The subscription's id."""
    status: str = ""
    count: int = 0
    """Events since the subscription began."""
    events: tuple[Event, ...] = ()


def read_notification(method: str, kind: str, resource_id: str, body: bytes) -> Notification:
    """What a notification is about.

    >>> read_notification("PUT", "Encounter", "e1", b"").rang
    (Rang(encounter='Encounter/e1', version=''),)
    """
    resource, named = _body(body), _named(resource_id if kind == "Encounter" else "")
    if resource.get("resourceType") == "Bundle":
        return topic_notification(resource) or Notification(rang=_visits(resource) or (named,))
    if resource.get("resourceType") == "Encounter" and resource.get("id"):
        return Notification(rang=(_visit(resource),))
    return Notification(rang=(named,))


def topic_notification(bundle: Resource) -> Notification | None:
    """A Bundle of a topic subscription; None when it is another one."""
    if _text(bundle.get("type")) not in _BUNDLES:
        return None
    resources = list(_resources(bundle))
    said = resources[0] if resources else {}
    facts = _parameters(said) if said.get("resourceType") == "Parameters" else said
    says = _text(facts.get("type"))
    if _text(said.get("resourceType")) not in {"Parameters", "SubscriptionStatus"} or says not in _TYPES:
        return None
    versions = {one.encounter: one for one in _visits(bundle)}
    rows = facts.get("notificationevent", facts.get("notificationEvent"))
    events = tuple(_event(row, versions) for row in _dicts(rows)[:MOST_EVENTS])
    subscription = _text(_dict(facts.get("subscription")).get("reference")).rpartition("/")[2]
    named = (*(event.rang for event in events if event.rang.encounter), *versions.values())
    return Notification(
        says=Says(says),
        rang=tuple(dict.fromkeys(named)),
        subscription=subscription if _ID.fullmatch(subscription) else "",
        status=_text(facts.get("status")),
        count=_number(facts.get("eventssincesubscriptionstart", facts.get("eventsSinceSubscriptionStart"))),
        events=events,
    )


def _parameters(resource: Resource) -> Resource:
    """A Parameters as plain facts; names are written in two ways, with hyphens and without."""
    facts: Resource = {}
    for row in _dicts(resource.get("parameter")):
        name = _text(row.get("name")).replace("-", "").lower()
        if name == "notificationevent":
            facts.setdefault(name, []).append(_parameters({"parameter": row.get("part")}))
        elif name == "additionalcontext":
            facts.setdefault(name, []).append(_value(row))
        else:
            facts[name] = _value(row)
    return facts


def _event(row: Resource, versions: dict[str, Rang]) -> Event:
    context = row.get("additionalcontext", row.get("additionalContext"))
    for reference in (row.get("focus"), *_dicts(context)):
        found = _REFERENCE.search(_text(_dict(reference).get("reference")))
        if found:
            rang = Rang(encounter=f"Encounter/{found[1]}", version=found[2] or "")
            return Event(number=_number_of(row), rang=versions.get(rang.encounter, rang))
    return Event(number=_number_of(row))


def _number_of(row: Resource) -> int:
    return _number(row.get("eventnumber", row.get("eventNumber")))


def _number(found: object) -> int:
    """A count as EHRs write it: a number, or a text of digits; anything else counts nothing."""
    text = str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _value(row: Resource) -> Any:
    return next((value for name, value in row.items() if name.startswith("value")), None)


def _body(body: bytes) -> Resource:
    try:
        found = loads(body) if body.strip() else None
    except MalformedResource:
        return {}
    return found if isinstance(found, dict) else {}


def _visits(bundle: Resource) -> tuple[Rang, ...]:
    """Every visit that a Bundle holds."""
    found = (_visit(r) for r in _resources(bundle) if r.get("resourceType") == "Encounter")
    return tuple(dict.fromkeys(one for one in found if one.encounter))


def _visit(resource: Resource) -> Rang:
    rang = _named(str(resource.get("id", "")))
    version = str(_dict(resource.get("meta")).get("versionId", ""))
    return Rang(encounter=rang.encounter, version=version if rang.encounter and _ID.fullmatch(version) else "")


def _named(visit: str) -> Rang:
    return Rang(encounter=f"Encounter/{visit}") if _ID.fullmatch(visit) else Rang()


def _resources(bundle: Resource) -> Iterator[Resource]:
    return (_dict(entry.get("resource")) for entry in _dicts(bundle.get("entry")))


def _dicts(found: object) -> list[Resource]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _dict(found: object) -> Resource:
    return found if isinstance(found, dict) else {}


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
