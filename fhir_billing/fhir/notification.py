"""A notification says at most which visit to read; EHRs send it empty, with the resource, or with a Bundle around it.

It arrives by POST to the endpoint or by PUT to endpoint/Type/id, and nothing else in it is believed.
Spec: FHIR R4 Subscription.channel (rest-hook); Subscriptions R5 Backport, notification Bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.text import loads

Resource = dict[str, Any]
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang:
    """What a notification says, if anything; nothing of it is trusted beyond which visit to read."""

    encounter: str = ""
    version: str = ""


def read_notification(method: str, kind: str, resource_id: str, body: bytes) -> Rang:
    """The visit that a notification is about; an empty one means: look for yourself.

    >>> read_notification("PUT", "Encounter", "e1", b"")
    Rang(encounter='Encounter/e1', version='')
    """
    visit = resource_id if kind == "Encounter" else ""
    version = ""
    resource = _body(body)
    if resource.get("resourceType") == "Bundle":
        resource = _only_visit(resource)
    if resource.get("resourceType") == "Encounter" and resource.get("id"):
        meta = resource.get("meta")
        visit, version = str(resource["id"]), str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    if not _ID.fullmatch(visit):
        return Rang()
    return Rang(encounter=f"Encounter/{visit}", version=version if _ID.fullmatch(version) else "")


def _body(body: bytes) -> Resource:
    try:
        found = loads(body) if body.strip() else None
    except MalformedResource:
        return {}
    return found if isinstance(found, dict) else {}


def _only_visit(bundle: Resource) -> Resource:
    """The visit of a notification Bundle (Subscriptions Backport) when it holds one; of several, each is found by the poll."""
    entries = bundle.get("entry")
    resources = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    visits = [r for r in resources if isinstance(r, dict) and r.get("resourceType") == "Encounter"]
    return visits[0] if len(visits) == 1 else {}
