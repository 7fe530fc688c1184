"""A visit as a list shows it, and how far the EHR's word for its time is believed: never further than our own clock.

Spec: FHIR R4 Meta.versionId, Meta.lastUpdated, both optional.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Final

from fhir_billing.cycle.ports import Sighting
from fhir_billing.ehr.client import Resource
from fhir_billing.fhir.instant import instant
from fhir_billing.fhir.text import dumps

OVERLAP: Final = timedelta(minutes=2)
"""Clocks differ and writes are indexed late: each poll looks back this far, and what is known already is no news."""
AHEAD: Final = timedelta(minutes=5) + OVERLAP
"""So far an EHR's clock may be before ours."""
_NAME: Final = re.compile(r"[!-~]{1,128}")
"""An id or a version as it may stand in a key."""


def is_visit(resource: Resource) -> bool:
    """Whether this is a visit that can be read by its id."""
    return resource.get("resourceType") == "Encounter" and bool(_NAME.fullmatch(str(resource.get("id") or "")))


def seen(resource: Resource) -> Sighting:
    """A visit as a list shows it; one that has no version is known by its content."""
    version, at = version_of(resource), _meta(resource).get("lastUpdated")
    return Sighting(
        encounter=f"Encounter/{resource.get('id', '')}",
        version=version,
        status=str(resource.get("status", "")),
        at=str(at) if at is not None else "",
        digest="" if version else hashlib.sha256(dumps(resource)).hexdigest()[:32],
    )


def version_of(resource: Resource) -> str:
    """Which version of a resource this is; empty where it has none that can be told from others."""
    version = str(_meta(resource).get("versionId") or "")
    return version if _NAME.fullmatch(version) else ""


def _meta(resource: Resource) -> Resource:
    found = resource.get("meta")
    return found if isinstance(found, dict) else {}


def believed(text: object, now: datetime) -> datetime | None:
    """The instant; None when it cannot be read, or lies where no clock is yet."""
    found = instant(text)
    return found if found is not None and found - AHEAD <= now else None
