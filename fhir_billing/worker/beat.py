"""One beat moves everything that waits: doorbells are answered, messages worked, envelopes relayed, answers collected.

Each step can be killed at any point and run again: what was kept is worked once, what was sent is sent again as the same
bytes. A step that fails on one item notes it, and goes on with the next.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

from fhir_billing.cycle.chase import EXPECTED, overdue
from fhir_billing.cycle.records import Kind, Message, OutboxRecord
from fhir_billing.cycle.work import work_all
from fhir_billing.domain.errors import BillingError, NotAllowed, NotNow, RateLimited
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import chart_answers

_log = log("worker")
CURSOR = "ehr-poll"
STRANGER = "stranger"
"""Who rings without the right secret."""
LONGEST_WAIT = timedelta(minutes=15)


def wait_for(attempts: int, error: BillingError) -> timedelta:
    """How long to wait before the next try: what the other side asks for, else twice as long each time."""
    if isinstance(error, RateLimited):
        return timedelta(seconds=error.retry_after)
    return min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_WAIT)


def ring(wiring: Wiring) -> int:
    """Poll the EHR for closed visits that no hook told of; each becomes a doorbell."""
    if wiring.ehr is None:
        return 0
    reader, _ = wiring.ehr
    found, cursor = reader.closed_since(wiring.store.cursor(CURSOR))
    count = 0
    for encounter, version in found:
        body = json.dumps({"encounter": encounter, "version": version, "found_by": "poll"}).encode()
        _, new = wiring.store.keep(
            Kind.DOORBELL, f"{encounter}:{version}", body, at=wiring.clock.now(), channel="poll", who="poll"
        )
        count += new
    wiring.store.set_cursor(CURSOR, cursor)
    return count


def answer_doorbells(wiring: Wiring) -> int:
    """Read each visit that rang from the EHR again, and keep what was read."""
    count = 0
    for bell in wiring.store.doorbells(wiring.clock.now()):
        try:
            said = _answer(wiring, bell)
        except NotNow as error:
            wiring.store.doorbell_later(bell.id, error.say, wiring.clock.now() + wait_for(bell.attempts, error))
        except BillingError as error:
            wiring.store.failed(
                bell.id, str(error), [{"key": error.code, "say": error.say, "fix": error.fix, "at": ""}]
            )
        except Exception as error:
            say = f"a doorbell that cannot be understood ({type(error).__name__})"
            wiring.store.failed(bell.id, say, [{"key": "our-contract", "say": say, "fix": "", "at": ""}])
        else:
            wiring.store.doorbell_done(bell.id, said)
            count += 1
    return count


def _answer(wiring: Wiring, bell: Message) -> str:
    if bell.who == STRANGER:
        raise NotAllowed("a notification without the right secret is not followed")
    rang = json.loads(bell.body)
    encounter = str(rang["encounter"])
    if not encounter:
        return f"somebody rang without saying for whom: {ring(wiring)} visits found"
    if wiring.ehr is None:
        return "no EHR is set up"
    resources = wiring.ehr[0].gather(encounter)
    body = dumps({"encounter": encounter, "found_by": rang.get("found_by", ""), "resources": resources})
    return keep_visit(wiring, encounter, body, found_by=str(rang.get("found_by", "")), at=wiring.clock.now())


def keep_visit(wiring: Wiring, encounter: str, body: bytes, *, found_by: str, at: datetime) -> str:
    """Keep a visit's resources as read; the same ones again are one message."""
    digest = hashlib.sha256(dumps(loads(body)["resources"])).hexdigest()
    _, new = wiring.store.keep(
        Kind.VISIT, f"{encounter}:{digest[:32]}", body, at=at, channel="ehr", name=encounter, who=found_by
    )
    return f"read {encounter}" if new else f"read {encounter}: unchanged"


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


def relay(wiring: Wiring) -> int:
    """Send what waits in the outbox: envelopes by their channel, write-backs to the EHR."""
    count = 0
    for parcel in wiring.store.due(wiring.clock.now()):
        try:
            receipt = _send(wiring, parcel)
        except BillingError as error:
            wiring.store.stays(parcel.id, error.say, wiring.clock.now() + wait_for(parcel.attempts, error))
            _log.warning("it stays in the outbox", key=parcel.key, code=error.code)
        except Exception as error:
            later = wiring.clock.now() + LONGEST_WAIT
            wiring.store.stays(parcel.id, f"a fault of ours: {type(error).__name__}", later)
            _log.error("a fault of ours while sending", key=parcel.key, error=type(error).__name__)
        else:
            wiring.store.left(parcel.id, receipt, wiring.clock.now())
            count += 1
    return count


def _send(wiring: Wiring, parcel: OutboxRecord) -> str:
    if parcel.kind == "write-back":
        if wiring.ehr is None or not wiring.settings.ehr_write_back:
            return "no EHR is set up"
        return wiring.ehr[1].write(loads(parcel.body)["resources"])
    if parcel.kind == "answer":
        return chart_answers.offer(wiring, parcel)
    receipt = wiring.channels[parcel.destination].send(f"{parcel.key}.x12", parcel.body)
    body = json.dumps({"envelope": parcel.key, "channel": parcel.destination, "receipt": receipt}).encode()
    wiring.store.keep(Kind.RECEIPT, parcel.key, body, at=wiring.clock.now(), channel=parcel.destination)
    return receipt


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


def subscribe(wiring: Wiring) -> int:
    """Ask the EHR to ring here when a visit closes; asking again changes nothing, and an EHR that cannot is polled."""
    settings = wiring.settings
    if wiring.ehr is None or not settings.hook_secret:
        return 0
    try:
        wiring.ehr[0].subscribe(f"{settings.public_url.rstrip('/')}/hooks/ehr", settings.hook_secret)
    except BillingError as error:
        _log.warning("the EHR takes no subscription; it is polled", code=error.code)
        return 0
    return 1


STEPS = (answer_doorbells, work, send, work, relay, work, collect, work, relay)


def beat(wiring: Wiring) -> int:
    """One round of all steps; how much was moved."""
    return sum(step(wiring) for step in STEPS)


def until_quiet(wiring: Wiring, *, rounds: int = 50) -> int:
    """Beat until nothing moves any more."""
    for count in range(rounds):
        if not beat(wiring):
            return count
    return rounds
