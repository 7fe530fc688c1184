"""Practitioners and places are the same at a thousand visits: one that has not changed is not sent again, and is never taken on trust.

The EHR is asked each time, with the version that is kept; it answers "not modified", or with what is new. Nothing of a
patient is ever kept here.
Spec: FHIR R4 conditional read (If-None-Match); batch `request.ifNoneMatch`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from fhir_billing.fhir.text import dumps, loads

Resource = dict[str, Any]
SHARED = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location"})
MOST = 2000
LARGEST = 65_536
"""Bytes of one resource; a larger one is read each time."""


class Kept:
    """Resources that many visits share, the least used ones forgotten first. Threads may share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, reference: str) -> tuple[str, bytes]:
        """The ETag and text of `Type/id`; empty when it is not kept."""
        with self._lock:
            found = self._held.get(reference, ("", b""))
            if found[0]:
                self._held.move_to_end(reference)
            return found

    def keep(self, reference: str, etag: str, resource: Resource) -> None:
        """Keep what was read now, if it is of a shared kind and has a version."""
        tag = etag or _tag(resource)
        if reference.partition("/")[0] not in SHARED or not tag or not tag.isprintable():
            return
        text = dumps(resource)
        with self._lock:
            self._held.pop(reference, None)
            if len(text) <= LARGEST:
                self._held[reference] = (tag, text)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)


def opened(text: bytes) -> Resource:
    """A copy of what is kept, so that no reader changes another's."""
    found: Resource = loads(text)
    return found


def _tag(resource: Resource) -> str:
    """The version as an ETag: FHIR says that they are the same."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f'W/"{version}"' if isinstance(version, str) and version else ""
