"""One beat moves everything that waits: doorbells are answered, messages worked, envelopes relayed, answers collected.

Each step can be killed at any point and run again: what was kept is worked once, what was sent is sent again as the same
bytes. A step that fails on one item notes it, and goes on with the next.
"""

from __future__ import annotations

import hashlib
import json

from fhir_billing.cycle.chase import EXPECTED, overdue
from fhir_billing.cycle.records import Kind
from fhir_billing.cycle.work import work_all
from fhir_billing.domain.errors import BillingError
from fhir_billing.domain.lifecycle import State
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker.leaving import relay
from fhir_billing.worker.notices import heartbeats
from fhir_billing.worker.ringing import answer_doorbells, keep_visit, ring
from fhir_billing.worker.subscribing import subscribe

__all__ = [
    "answer_doorbells",
    "beat",
    "chase",
    "collect",
    "heartbeats",
    "keep_visit",
    "relay",
    "ring",
    "send",
    "subscribe",
    "until_quiet",
    "work",
]

_log = log("worker")


def work(wiring: Wiring) -> int:
    """Work every waiting message."""
    return work_all(wiring.store, wiring.site)


def send(wiring: Wiring) -> int:
    """Ring the send timer when a claim is ready."""
    with wiring.store.looking() as book:
        ready = book.claims(states=[State.READY])
    if not ready:
        return 0
    return _timer(wiring, "send")


def chase(wiring: Wiring) -> int:
    """Ring the chase timer when an answer is late."""
    today = wiring.site.local(wiring.clock.now())
    with wiring.store.looking() as book:
        late = overdue(book.claims(states=EXPECTED), today)
    return _timer(wiring, "chase", f"chase:{today}") if late else 0


def _timer(wiring: Wiring, name: str, key: str = "") -> int:
    now = wiring.clock.now()
    _, new = wiring.store.keep(
        Kind.TIMER, key or f"{name}:{now.isoformat()}", json.dumps({"timer": name}).encode(), at=now
    )
    return int(new)


def collect(wiring: Wiring) -> int:
    """Keep every file that waits at a channel, then let the channel put it away."""
    count = 0
    for channel in wiring.channels.values():
        try:
            for file in channel.fetch():
                digest = hashlib.sha256(file.body).hexdigest()
                wiring.store.keep(
                    Kind.FILE, digest, file.body, at=wiring.clock.now(), channel=channel.name, name=file.name
                )
                channel.took(file.token)
                count += 1
        except BillingError as error:
            _log.warning("a channel gives nothing", channel=channel.name, code=error.code)
    return count


STEPS = (answer_doorbells, work, send, work, relay, work, collect, work, relay, heartbeats)


def beat(wiring: Wiring) -> int:
    """One round of all steps; how much was moved."""
    return sum(step(wiring) for step in STEPS)


def until_quiet(wiring: Wiring, *, rounds: int = 50) -> int:
    """Beat until nothing moves any more."""
    for count in range(rounds):
        if not beat(wiring):
            return count
    return rounds
