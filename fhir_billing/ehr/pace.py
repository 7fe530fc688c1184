"""An EHR is asked no faster than it bears: so many requests at once, so many a second, not before it says so, and not while it is down.

After some failures in a row nothing is asked for a while; then one request goes ahead, and the others follow when it is answered.
Whoever must wait longer than a moment hears so at once and comes again later: nobody sleeps on a visit.
Spec: RFC 9110 10.2.3 Retry-After; RFC 6585 429.
"""

from __future__ import annotations

import math
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from fhir_billing.domain.errors import BillingError, EhrUnavailable, RateLimited
from fhir_billing.ehr.answers import seconds

PATIENCE = 2.0
"""Seconds that one request may wait here."""
LOOK_AGAIN = 0.02
"""Seconds after which a request looks again whether another has ended."""
UNSAID = 5
"""Seconds to wait after a 429 that does not say how long."""
ASKED, FULL, FAST, BROKEN = "asked", "full", "fast", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one EHR bears; 0 is no limit."""

    at_once: int = 4
    per_second: int = 20
    failures: int = 5
    """So many in a row, and nothing is asked for a while."""
    first_pause: float = 1.0
    longest_pause: float = 60.0
    lease: float = 15.0
    """A request whose process was killed holds its place for so long."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: why, and for how many seconds."""

    why: str
    seconds: float


class Pace(Protocol):
    """When the next request may go."""

    def begin(self) -> str:
        """A place, to be given back. Raises RateLimited or EhrUnavailable where the wait would be long."""
        ...

    def end(self, place: str, status: int, after: int | None = None) -> None:
        """The answer's status, 0 for none, and how many seconds the EHR wants us to wait."""
        ...


@dataclass(slots=True)
class State:
    """What is known of one EHR now. It has no clock of its own."""

    limits: Limits
    held: dict[str, float] = field(default_factory=dict)
    begun: deque[float] = field(default_factory=deque)
    not_before: float = 0.0
    failures: int = 0
    trips: int = 0
    opens: float = 0.0
    """When the next probe may go; 0 while the EHR answers."""
    probe: str = ""
    probe_ends: float = 0.0

    def begin(self, place: str, now: float) -> Wait | None:
        """Take a place, or say why not."""
        limits = self.limits
        if now < self.not_before:
            return Wait(ASKED, self.not_before - now)
        if self.opens and now < max(self.opens, self.probe_ends):
            return Wait(BROKEN, max(self.opens, self.probe_ends) - now)
        self.held = {name: ends for name, ends in self.held.items() if ends > now}
        if limits.at_once > 0 and len(self.held) >= limits.at_once:
            return Wait(FULL, LOOK_AGAIN)
        if limits.per_second > 0:
            while self.begun and self.begun[0] <= now - 1:
                self.begun.popleft()
            if len(self.begun) >= limits.per_second:
                return Wait(FAST, self.begun[0] + 1 - now)
            self.begun.append(now)
        self.held[place] = now + limits.lease
        if self.opens:
            self.probe, self.probe_ends = place, now + limits.lease
        return None

    def end(self, place: str, now: float, status: int, after: int | None, jitter: float) -> None:
        """Give a place back; `jitter` is between 0 and 1."""
        self.held.pop(place, None)
        if after is not None:
            self.not_before = max(self.not_before, now + after)
        if place == self.probe:
            self.probe, self.probe_ends = "", 0.0
        if status == 429:
            return
        if is_answer(status):
            self.failures, self.trips, self.opens = 0, 0, 0.0
            return
        self.failures += 1
        if self.failures >= self.limits.failures > 0 and now >= self.opens:
            self.opens = now + pause(self.limits, self.trips, jitter)
            self.trips += 1


def is_answer(status: int) -> bool:
    """Whether the EHR is there: a refusal is an answer too."""
    return 0 < status < 500 or status == 501


def pause(limits: Limits, trips: int, jitter: float) -> float:
    """How long nothing is asked: twice as long each time, and a little more, so that processes do not come back together."""
    return min(limits.first_pause * float(2 ** min(trips, 30)), limits.longest_pause) * (1 + jitter / 4)


def wanted(status: int, header: str) -> int | None:
    """The seconds that an answer asks us to wait; None when it does not."""
    if status == 429:
        return seconds(header) if header else UNSAID
    return seconds(header) if status == 503 and header else None


def refused(wait: Wait) -> BillingError:
    """What somebody hears who would have to wait too long."""
    later = max(math.ceil(wait.seconds), 1)
    if wait.why == BROKEN:
        return EhrUnavailable(f"the EHR failed several times in a row; it is asked again in {later} s")
    say = "the EHR asked us to slow down" if wait.why == ASKED else "the EHR is asked as fast as it may be already"
    return RateLimited(say, retry_after=later)


def patiently(attempt: Callable[[], Wait | None], sleep: Callable[[float], None]) -> None:
    """Try until there is a place; raises when that takes longer than a moment."""
    slept = 0.0
    while (wait := attempt()) is not None:
        if wait.why == BROKEN or slept + wait.seconds > PATIENCE:
            raise refused(wait)
        sleep(wait.seconds)
        slept += wait.seconds


class LocalPace:
    """The pace of one process: its threads share it."""

    def __init__(
        self,
        limits: Limits,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._state, self._lock = State(limits), threading.Lock()
        self._now, self._sleep, self._chance = now, sleep, chance

    def begin(self) -> str:
        """A place."""
        place = uuid.uuid4().hex

        def attempt() -> Wait | None:
            with self._lock:
                return self._state.begin(place, self._now())

        patiently(attempt, self._sleep)
        return place

    def end(self, place: str, status: int, after: int | None = None) -> None:
        """Give it back."""
        with self._lock:
            self._state.end(place, self._now(), status, after, self._chance())


Heard = Callable[[int, str], None]


@contextmanager
def turn(pace: Pace | None) -> Iterator[Heard]:
    """One exchange at its time; it is told the answer's status and its Retry-After. An answer that breaks off is none."""
    if pace is None:
        yield lambda *_: None
        return
    place, status, after = pace.begin(), 0, None

    def heard(answered: int, header: str) -> None:
        nonlocal status, after
        status, after = answered, wanted(answered, header)

    try:
        yield heard
    except EhrUnavailable:
        status = 0
        raise
    finally:
        pace.end(place, status, after)
