"""Events of a subscription are numbered, so whoever keeps count knows what never came; what came twice or late changes nothing.

Spec: Subscriptions R5 Backport 1.1, eventsSinceSubscriptionStart and eventNumber.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol

MOST_RANGES = 200
"""Gaps that are told apart; of more, the oldest become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Which events of a subscription were heard: all up to `last`, but for the ranges that are missing."""

    last: int = 0
    missing: tuple[tuple[int, int], ...] = ()
    epoch: int = 0
    """How often the EHR has begun to count anew."""

    def heard(self, number: int) -> Numbers:
        """After an event of this number; 0 is none.

        >>> Numbers().heard(1).heard(4).heard(2).missing
        ((3, 3),)
        """
        if number <= 0:
            return self
        if number > self.last:
            gap = ((self.last + 1, number - 1),) if number > self.last + 1 else ()
            return replace(self, last=number, missing=_fewer((*self.missing, *gap)))
        return replace(self, missing=tuple(part for one in self.missing for part in _without(one, number)))

    def begun(self, count: int) -> Numbers:
        """After a handshake, which says how many events there were: fewer than were heard means that it counts anew."""
        if count >= self.last:
            return self
        return Numbers(last=count, missing=((1, count),) if count else (), epoch=self.epoch + 1)

    def dump(self) -> str:
        """As JSON text."""
        return json.dumps({"last": self.last, "missing": self.missing, "epoch": self.epoch})

    @classmethod
    def load(cls, text: str) -> Numbers:
        """From its JSON text; nothing heard for nothing."""
        if not text:
            return cls()
        said: dict[str, Any] = json.loads(text)
        return cls(last=said["last"], missing=tuple((a, b) for a, b in said["missing"]), epoch=said["epoch"])


def _without(one: tuple[int, int], number: int) -> tuple[tuple[int, int], ...]:
    first, last = one
    if not first <= number <= last:
        return (one,)
    return tuple((a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b)


def _fewer(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if len(ranges) <= MOST_RANGES:
        return ranges
    return ((ranges[0][0], ranges[1][1]), *ranges[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A subscription that the EHR holds for us."""

    way: str
    """hook, topic or websocket."""
    id: str
    status: str = ""
    heartbeat: int = 0
    """Seconds after which the EHR says that it is there; 0: it never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A topic subscription, and what was heard of it so far."""

    subscribed: Subscribed
    numbers: Numbers
    count: int = 0
    """How many events there were, as the EHR last said."""
    heard_at: datetime | None = None
    """When it last said anything."""


class Remembered(Protocol):
    """What a trigger may ask the book before it looks."""

    def patients(self, since: date) -> Sequence[str]:
        """The patients (`Patient/ID`) who had a visit since then."""
        ...

    def followed(self) -> Sequence[Followed]:
        """The topic subscriptions that the EHR holds for us."""
        ...
