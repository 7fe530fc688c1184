"""An app follows a topic: each change of a claim's status is an event with a number, and no number is left out.

The focus of an event is the claim's Task. A filter names a patient, a visit, a Task.status or one of our own statuses.
Spec: Subscriptions R5 Backport 1.1 for R4: Subscription.criteria is the topic, its filter, content and heartbeat are extensions,
a notification is a Bundle of type history whose first entry is the status as Parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.ours import BASE, Resource

TOPIC: Final = f"{BASE}SubscriptionTopic/claim-status"
BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
CONTENTS: Final = ("empty", "id-only", "full-resource")
FILTERS: Final = ("patient", "encounter", "status", "business-status")
LEAST_HEARTBEAT: Final = 10
_HEADER = re.compile(r"([A-Za-z0-9-]{1,60}):[ \t]*([\x20-\x7e]{1,2000})")
_RESERVED: Final = frozenset(
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade", "expect", "cookie"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a Subscription asks for."""

    endpoint: str
    filters: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = ()
    content: str = "empty"
    heartbeat: int = 0
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event: its number, when (an instant), and the Task that it is about."""

    number: int
    at: str
    task: str
    resource: Resource | None = None


def read_subscription(resource: Any) -> Wanted:
    """What it asks for. Raises MalformedResource with what must be said otherwise."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Subscription":
        raise _wrong("this is no Subscription")
    channel = resource.get("channel")
    if resource.get("criteria") != TOPIC:
        raise _wrong(f"the criteria is not a topic of ours; use {TOPIC}")
    if not isinstance(channel, dict) or channel.get("type") != "rest-hook":
        raise _wrong("the channel is not a rest-hook")
    if channel.get("payload", "application/fhir+json") not in {"application/fhir+json", "application/json"}:
        raise _wrong("only application/fhir+json is sent")
    content = _extension(channel.get("_payload"), "backport-payload-content", "valueCode") or "empty"
    if content not in CONTENTS:
        raise _wrong(f"the payload content is one of {', '.join(CONTENTS)}")
    heartbeat = _extension(channel, "backport-heartbeat-period", "valueUnsignedInt") or 0
    if not isinstance(heartbeat, int) or isinstance(heartbeat, bool) or (heartbeat and heartbeat < LEAST_HEARTBEAT):
        raise _wrong(f"the heartbeat is at least {LEAST_HEARTBEAT} seconds")
    if resource.get("status") not in {"requested", "active", "off"}:
        raise _wrong("the status is requested, or off")
    return Wanted(
        endpoint=str(channel.get("endpoint", "")),
        filters=_filters(_extension(resource.get("_criteria"), "backport-filter-criteria", "valueString")),
        headers=_headers(channel.get("header")),
        content=str(content),
        heartbeat=min(heartbeat, 86_400),
        off=resource.get("status") == "off",
    )


def subscription(
    *, which: str, status: str, endpoint: str, filters: Mapping[str, str], content: str, heartbeat: int, say: str
) -> Resource:
    """The Subscription as it is read back: what its headers say is not shown."""
    filtered = [
        {"url": f"{BACKPORT}backport-filter-criteria", "valueString": f"Task?{urlencode(filters, safe='/|:,')}"}
    ]
    beat = [{"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": heartbeat}]
    return {
        "resourceType": "Subscription",
        "id": which,
        "meta": {"profile": [f"{BACKPORT}backport-subscription"]},
        "status": status,
        "reason": "Follows the status of claims",
        "criteria": TOPIC,
        **({"_criteria": {"extension": filtered}} if filters else {}),
        **({"error": say} if status == "error" and say else {}),
        "channel": {
            **({"extension": beat} if heartbeat else {}),
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": content}]},
        },
    }


def notification(
    kind: str,
    *,
    base: str,
    which: str,
    status: str,
    events: int,
    content: str,
    happened: Iterable[Happened] = (),
    bundle: str,
) -> Resource:
    """The Bundle that is sent, or that `$events` answers; `bundle` is its own id, a UUID."""
    rows = list(happened)
    entries: list[Resource] = [
        {
            "fullUrl": f"urn:uuid:{bundle}",
            "resource": status_parameters(
                kind, base=base, which=which, status=status, events=events, happened=rows, with_focus=content != "empty"
            ),
            "request": {"method": "GET", "url": f"{base}/Subscription/{which}/$status"},
            "response": {"status": "200"},
        }
    ]
    if content != "empty":
        for task in dict.fromkeys(row.task for row in rows):
            latest = [row for row in rows if row.task == task][-1]
            entries.append(
                {
                    "fullUrl": f"{base}/{task}",
                    **({"resource": latest.resource} if content == "full-resource" and latest.resource else {}),
                    "request": {"method": "PUT", "url": task},
                    "response": {"status": "200"},
                }
            )
    return {"resourceType": "Bundle", "id": bundle, "type": "history", "entry": entries}


def status_parameters(
    kind: str,
    *,
    base: str,
    which: str,
    status: str,
    events: int,
    happened: Iterable[Happened] = (),
    with_focus: bool = True,
) -> Resource:
    """How a subscription is, as R4 says it: Parameters."""
    parts = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(row.number)},
                {"name": "timestamp", "valueInstant": row.at},
                *([{"name": "focus", "valueReference": {"reference": f"{base}/{row.task}"}}] if with_focus else []),
            ],
        }
        for row in happened
    ]
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{BACKPORT}backport-subscription-status-r4"]},
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{which}"}},
            {"name": "topic", "valueCanonical": TOPIC},
            {"name": "status", "valueCode": status},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(events)},
            *parts,
        ],
    }


def _extension(element: Any, name: str, value: str) -> Any:
    rows = element.get("extension") if isinstance(element, dict) else None
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    mine = [row.get(value) for row in found if row.get("url") == BACKPORT + name]
    if len(mine) > 1:
        raise _wrong(f"{name} stands more than once")
    return mine[0] if mine else None


def _filters(text: Any) -> dict[str, str]:
    if not text:
        return {}
    kind, _, query = str(text).partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if kind != "Task" or not pairs or len({name for name, _ in pairs}) != len(pairs):
        raise _wrong("the filter is written Task?patient=Patient/ID&status=completed")
    for name, value in pairs:
        if name not in FILTERS or not value:
            raise _wrong(f"the filter knows {', '.join(FILTERS)}")
    return dict(pairs)


def _headers(rows: Any) -> tuple[tuple[str, str], ...]:
    if rows is None:
        return ()
    found = (
        [_HEADER.fullmatch(row) if isinstance(row, str) else None for row in rows] if isinstance(rows, list) else [None]
    )
    if len(found) > 10 or any(row is None or row[1].lower() in _RESERVED for row in found):
        raise _wrong("a header is written Name: value, and is none that the sending itself needs")
    return tuple((row[1], row[2]) for row in found if row)


def _wrong(say: str) -> MalformedResource:
    return MalformedResource(say, fix="see docs/api-fhir.md")
