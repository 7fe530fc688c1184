"""A topic's events are numbered: a gap, or a silence longer than two heartbeats, is found here and filled.

`$events` tells what was missed; where there is none, whatever changed since all was well is looked through. A subscription
that is off, in error or gone is asked for anew.
Spec: Subscriptions R5 Backport 1.1, `$status`, `$events`, error recovery.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_billing.cycle.looking import Followed, Remembered
from fhir_billing.cycle.ports import Looked, Sighting
from fhir_billing.ehr import subscriptions, topics
from fhir_billing.ehr.client import FhirClient

BEATS: Final = 2
"""Heartbeats that may be missed in a row."""
BROKEN: Final = frozenset({"error", "off", "gone", "entered-in-error"})


@dataclass(slots=True)
class _Place:
    """How far one subscription is dealt with."""

    filled: int = 0
    epoch: int = 0
    since: str = ""
    """When it was looked after first, an ISO time: its silence begins there until something is heard of it."""
    well: str = ""
    """When all was well last."""
    asked: str = ""
    """When its status was asked last, because of a silence."""
    broken: bool = False
    """Whether the last look found it off, in error or gone: what changed until it rings again was told by nobody."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks after those subscriptions of one EHR that ring in one way (`topic`, `websocket`)."""

    client: FhirClient
    remembered: Remembered
    name: str

    def look(self, cursor: str, now: datetime) -> Looked:
        """What the EHR tried to tell and nobody heard."""
        mine = [one for one in self.remembered.followed() if one.subscribed.way == self.name]
        return look(self.client, mine, cursor, now)


def look(client: FhirClient, followed: Sequence[Followed], cursor: str, now: datetime) -> Looked:
    """What the EHR tried to tell and nobody heard. The cursor holds how far each subscription is dealt with."""
    held: dict[str, dict[str, Any]] = json.loads(cursor) if cursor else {}
    filling, renew = _Filling(client, now), False
    following: dict[str, Any] = {}
    before = max((str(row.get("well", "")) for row in held.values()), default="")
    for one in followed:
        known = held.get(one.subscribed.id)
        place = _Place(**known) if known else _Place(well=before)
        place.since = place.since or now.isoformat()
        if not known and before:
            filling.by_poll(place)  # it is another one than before: between them nobody told of anything
        renew = filling.look(one, place, now) or renew
        following[one.subscribed.id] = {name: getattr(place, name) for name in _Place.__slots__}
    return Looked(
        sightings=tuple(dict.fromkeys(filling.found)), cursor=json.dumps(following or held),
        findings=tuple(filling.findings), renew=renew,
    )  # fmt: skip


@dataclass(slots=True)
class _Filling:
    client: FhirClient
    now: datetime
    found: list[Sighting] = field(default_factory=list)
    findings: list[Mapping[str, str]] = field(default_factory=list)

    def look(self, one: Followed, place: _Place, now: datetime) -> bool:
        """Fill what is missing of one; whether it must be asked for anew."""
        if place.epoch != one.numbers.epoch:
            place.epoch, place.filled = one.numbers.epoch, 0
        top, broken, silent = max(one.numbers.last, one.count), False, _is_silent(one, place, now)
        if silent:
            said, count = topics.status(self.client, one.subscribed.id)
            broken, top = said in BROKEN, max(top, count)
            place.asked = now.isoformat()
        gaps = [gap for gap in one.numbers.missing if gap[1] > place.filled]
        if top > max(one.numbers.last, place.filled):
            gaps.append((max(one.numbers.last, place.filled) + 1, top))
        if gaps:
            self._fill(one.subscribed.id, gaps, place)
        elif broken or place.broken:
            self.by_poll(place)
        place.broken = broken
        place.filled = max(place.filled, top)
        if not broken and (gaps or (one.heard_at and not silent) or not place.well):
            place.well = now.isoformat()
        return broken

    def _fill(self, which: str, gaps: list[tuple[int, int]], place: _Place) -> None:
        for first, last in gaps:
            told = topics.events(self.client, which, first, last)
            if told is None:
                self.by_poll(place)
                return
            self.found.extend(told)

    def by_poll(self, place: _Place) -> None:
        """What changed since all was well."""
        since = place.well
        while True:
            looked = subscriptions.poll(self.client, since, self.now)
            self.found.extend(looked.sightings)
            self.findings.extend(looked.findings)
            if looked.cursor == since or len(looked.sightings) < subscriptions.MOST_VISITS:
                return
            since = looked.cursor


def _is_silent(one: Followed, place: _Place, now: datetime) -> bool:
    """Whether it has said nothing for more than two heartbeats, and was not asked within that time."""
    patience = timedelta(seconds=BEATS * one.subscribed.heartbeat)
    if not patience or now - (one.heard_at or datetime.fromisoformat(place.since)) <= patience:
        return False
    return not place.asked or now - datetime.fromisoformat(place.asked) > patience
