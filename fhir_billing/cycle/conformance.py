"""What one EHR really does for us: asked of its own statements, then tried, and remembered with what we do instead.

A declaration is a promise and a try is a fact; where they differ the fact is followed. Plain data, so that the desk shows
it, the triggers and the write-back ladder obey it, and nobody asks the EHR again.
Spec: FHIR R4 CapabilityStatement.rest; SMART App Launch 2.2 `.well-known/smart-configuration`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Found(StrEnum):
    """What came of trying one interaction."""

    WORKS = "works"
    """Tried, and it did what we need."""
    PARTLY = "partly"
    """Tried; it answers, and leaves out what `say` tells."""
    FORBIDDEN = "forbidden"
    """The scopes that were granted, or the EHR's rules, do not allow it."""
    MISSING = "missing"
    """The EHR does not have it."""
    IGNORED = "ignored"
    """It answers as if nothing special had been asked."""
    NOT_TRIED = "not tried"
    """It cannot be tried without harm, or something that it needs is missing; only the declaration is known."""


REFUSED = frozenset({Found.FORBIDDEN, Found.MISSING})
NEEDED = ("read-patient", "read-coverage", "read-condition")
EITHER = ("read-procedure", "read-charge-item")
"""One of these is needed: what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One line of the table."""

    key: str
    """Stable, kebab-case: `read-visit`, `search-by-last-updated`, `write-task`, `subscription`, `batch`…"""
    group: str
    """connection, reading, finding closed visits, writing back."""
    what: str
    """In a biller's or analyst's words."""
    declared: bool | None = None
    """What the CapabilityStatement says; None when it is silent."""
    found: Found = Found.NOT_TRIED
    say: str = ""
    """What was seen; no patient data."""
    instead: str = ""
    """What we do instead, when it does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """One conformance run."""

    url: str
    at: datetime
    software: str = ""
    fhir_version: str = ""
    asked_scopes: tuple[str, ...] = ()
    granted_scopes: tuple[str, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    triggers: tuple[str, ...] = ()
    """How closed visits will be found, by the names of `ehr/triggers`."""
    rung: str = ""
    """The best rung of the write-back ladder that works here, by its name in `ehr/rungs`."""
    gathering: str = ""
    """How one visit is read with fewest requests: includes, batch or singly."""
    facts: dict[str, str] = field(default_factory=dict)
    """What else was learned: `etag` (number, uuid, none), `transaction` (atomic, not-atomic, none), `hook` (post, put)…"""

    def works(self, key: str) -> bool:
        """Whether an interaction was tried and works."""
        return any(one.key == key and one.found is Found.WORKS for one in self.interactions)

    def is_usable(self) -> bool:
        """Whether visits can be found, and all be read that a bill needs, or nothing was there to try it on."""
        return (self.works("read-visit") or self.is_empty()) and bool(self.triggers) and not self.lacking()

    def lacking(self) -> tuple[str, ...]:
        """What was asked for in vain and no bill can be made without, in the words of its rows."""
        refused = {one.key: one.what for one in self.interactions if one.found in REFUSED}
        alone = [refused[key] for key in NEEDED if key in refused]
        either = [refused[key] for key in EITHER if key in refused]
        return (*alone, *([" or ".join(either)] if len(either) == len(EITHER) else []))

    def could_ask(self) -> bool:
        """Whether there was somebody to ask, and a token where one is needed."""
        return self.facts.get("reachable") != "no" and self.facts.get("token") != "none"

    def is_empty(self) -> bool:
        """Whether visits are searched and none was there: what belongs to a visit could not be tried."""
        read = next((one for one in self.interactions if one.key == "read-visit"), None)
        return self.works("search-visit") and read is not None and read.found is Found.NOT_TRIED

    def groups(self) -> Iterator[tuple[str, list[Interaction]]]:
        """Interactions by group, in the order in which they were tried."""
        for group in dict.fromkeys(one.group for one in self.interactions):
            yield group, [one for one in self.interactions if one.group == group]


def dump(run: Conformance) -> str:
    """A run as JSON text."""
    return json.dumps(asdict(run), default=str)


def load(text: str) -> Conformance | None:
    """A run from its JSON text; None for nothing."""
    if not text:
        return None
    said: dict[str, Any] = json.loads(text)
    rows = tuple(Interaction(**{**row, "found": Found(row["found"])}) for row in said.pop("interactions"))
    tuples = {name: tuple(said.pop(name)) for name in ("asked_scopes", "granted_scopes", "triggers")}
    return Conformance(**{**said, **tuples, "at": datetime.fromisoformat(said["at"]), "interactions": rows})
