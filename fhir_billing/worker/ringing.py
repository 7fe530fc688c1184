"""Whoever says that a visit changed only rings; each visit that rang is read from the EHR again, and what was read is kept."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_billing.cycle.ports import Answering, Sighting, Trigger
from fhir_billing.cycle.records import Kind, Message
from fhir_billing.domain.errors import (
    BillingError,
    NotAllowed,
    NotNow,
    NotThere,
    ScopeMissing,
    SecretMissing,
    TheirContract,
)
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import heard, mllp, subscribing, topics
from fhir_billing.worker.ahead import Ahead
from fhir_billing.worker.waiting import wait_for

_log = log("worker")
CURSOR: Final = "ehr"
STRANGER: Final = "stranger"
"""Who rings without the right secret."""
UNREAD: Final = "unread"
"""What a trigger was given and could not read."""
CDS_HOOK: Final = "cds-hook"
ASK_AGAIN: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
"""When a visit is asked for again that a clinician was about to close."""
FOREVER: Final = timedelta(days=400)
MOST_AT_ONCE: Final = 200
"""So many bells are answered in one beat: after a storm of them what else waits is worked, sent and polled in between."""
CATCH_UP: Final = 7
"""So often a visit is read again whose reading is older than what rang: two minutes, as the waits double."""
PASSES: Final = (NotNow, ScopeMissing, SecretMissing)
"""What keeps a visit from being read until somebody opens the door again: a key is changed, a right is given back."""
EMPTY: Final = timedelta(days=1)
"""So long a visit that is not there is looked for: an EHR that was restored has its charts back by then."""


@dataclass(frozen=True, slots=True)
class Read:
    """A visit as it was read, not kept yet."""

    encounter: str
    body: bytes
    key: str
    found_by: str
    at: datetime
    of_charges: str
    version: str = ""
    status: str = ""

    def kept(self, box: Answering) -> str:
        """Keep it, and say so."""
        new = box.keep(self.key, self.body, at=self.at, name=self.encounter, who=self.found_by)
        return _kept(self.encounter, new=new) + self.of_charges


class NotCaughtUp(NotNow):
    """What was read is older than what rang: a copy of the chart that lags behind answered."""

    code = "chart-lags-behind"


class NotClosedYet(NotNow):
    """The chart does not show yet that the visit has closed."""

    code = "visit-not-closed-yet"

    def __init__(self, wait: timedelta) -> None:
        super().__init__("the visit is not closed yet")
        self.wait = wait


def ring(wiring: Wiring) -> int:
    """Look for closed visits in every way that this EHR is looked at; each sighting becomes a doorbell.

    One way that fails stops no other; when all fail, the last error is raised.
    """
    if wiring.ehr is None:
        return 0
    count, failed = 0, list[BillingError]()
    ways = wiring.ehr[0].triggers(topics.Memory(wiring))
    for trigger in ways:
        try:
            count += _look(wiring, trigger)
        except BillingError as error:
            _log.warning("a trigger finds nothing now", trigger=trigger.name, code=error.code)
            failed.append(error)
        except Exception as error:
            _log.error("a trigger broke", trigger=trigger.name, error=type(error).__name__)
            failed.append(NotNow(f"the trigger {trigger.name} broke ({type(error).__name__})"))
    if ways and len(failed) == len(ways):
        raise failed[-1]
    return count


def _look(wiring: Wiring, trigger: Trigger) -> int:
    """The cursor moves only when everything that was seen rings: killed before, the same is seen again."""
    cursor = f"{CURSOR}:{trigger.name}"
    now = wiring.clock.now()
    looked = trigger.look(wiring.store.cursor(cursor), now)
    count = sum(rang(wiring, sighting, found_by=trigger.name, at=now) for sighting in _worth(wiring, looked.sightings))
    for finding in looked.findings:
        _show(wiring, finding, trigger.name)
    wiring.store.set_cursor(cursor, looked.cursor)
    if looked.renew:
        subscribing.subscribe(wiring)
    return count


def _worth(wiring: Wiring, sightings: Iterable[Sighting]) -> list[Sighting]:
    """What is worth reading: whatever is finished, and whatever became of a visit that the book knows."""
    with wiring.store.looking() as book:
        return [seen for seen in sightings if seen.status in {"", "finished"} or book.visit(seen.encounter) is not None]


def _show(wiring: Wiring, finding: Mapping[str, str], found_by: str) -> None:
    """What could not be read is kept as it came, and shown to a person, once."""
    body = finding.get("body", "").encode(errors="replace")
    key = f"{found_by}:unread:{hashlib.sha256(body + finding['say'].encode()).hexdigest()[:32]}"
    kept, new = wiring.store.keep(
        Kind.DOORBELL, key, body, at=wiring.clock.now(), channel=found_by, name="unread", who=UNREAD
    )
    if new:
        row = {"key": finding["key"], "say": finding["say"], "fix": finding.get("fix", ""), "at": finding.get("at", "")}
        wiring.store.failed(kept.id, finding["say"], [{**row, "severity": "blocking"}])


def rang(wiring: Wiring, sighting: Sighting, *, found_by: str, at: datetime | None = None) -> bool:
    """Keep a doorbell for a sighting, once for each version of a visit; False when it is known."""
    now = at or wiring.clock.now()
    key, body = _bell(sighting, found_by, now)
    _, new = wiring.store.keep(Kind.DOORBELL, key, body, at=now, channel=found_by, who=found_by)
    return new


def _bell(sighting: Sighting, found_by: str, now: datetime) -> tuple[str, bytes]:
    said = {"encounter": sighting.encounter, "version": sighting.version, "found_by": found_by}
    key = f"{sighting.encounter}:{sighting.version or sighting.digest or sighting.at or now.isoformat()}"
    return key, json.dumps(said).encode()


def all_rang(wiring: Wiring, sightings: Sequence[Sighting], *, found_by: str) -> None:
    """Keep a doorbell for each of many sightings, in one transaction."""
    now = wiring.clock.now()
    wiring.store.keep_all([_bell(seen, found_by, now) for seen in sightings], at=now, channel=found_by, who=found_by)


def answer_doorbells(wiring: Wiring) -> int:
    """Read each visit that rang from the EHR again, and keep what was read; a storm of bells for one visit is one reading."""
    now = wiring.clock.now()
    several = bool(wiring.settings.redis_url)
    bells, done = wiring.store.doorbells(now), set[int]()
    count = 0
    if any(map(_is_of_topic, bells)):
        count, bells = _told(wiring, bells), wiring.store.doorbells(now)
    ripe = (_elsewhere(bells) if several else bells)[:MOST_AT_ONCE]
    waiting = _by_visit(wiring.store.doorbells(now + FOREVER)) if ripe else {}
    plain = dict.fromkeys(_encounter(bell) for bell in ripe if bell.channel not in {CDS_HOOK, *topics.CHANNELS})
    visits = [encounter for encounter in plain if encounter]
    with Ahead(wiring.ehr[0] if wiring.ehr else None, visits, wiring.settings.ehr_at_once) as ahead:
        for bell in ripe:
            if several and not wiring.store.waits(bell.id):
                ahead.leave(_encounter(bell))
            elif bell.id not in done:
                bells = waiting.get(_encounter(bell)) or [bell]
                done.update(one.id for one in bells)
                count += _answered(wiring, bells, ahead)
    return count


def _told(wiring: Wiring, bells: Iterable[Message]) -> int:
    """What a topic told rings for its visits first, so that it is read together with what others rang for."""
    return sum(_answered(wiring, [bell], Ahead(None, (), 1)) for bell in bells if _is_of_topic(bell))


def _is_of_topic(bell: Message) -> bool:
    return bell.channel in topics.CHANNELS and bell.name in topics.KEPT


def _elsewhere(ripe: list[Message]) -> list[Message]:
    """The same bells in an order of one's own: workers that share a book meet seldom, and never walk side by side.

    Bells that name no visit yet stay in their order, from some place on.
    """
    named = [bell for bell in ripe if _encounter(bell)]
    others = [bell for bell in ripe if not _encounter(bell)]
    secrets.SystemRandom().shuffle(named)
    start = secrets.randbelow(len(others)) if others else 0
    return [*others[start:], *others[:start], *named]


def _by_visit(bells: Iterable[Message]) -> dict[str, list[Message]]:
    """Bells that name a visit, by it, oldest first; the empty name has none, for each of those says something else."""
    found: dict[str, list[Message]] = {}
    for bell in bells:
        if encounter := _encounter(bell):
            found.setdefault(encounter, []).append(bell)
    return found


def _encounter(bell: Message) -> str:
    """The visit that a bell of ours names; what came from outside as it is names none yet."""
    if bell.who in {STRANGER, UNREAD} or bell.channel == mllp.CHANNEL or _is_of_topic(bell):
        return ""
    try:
        said = json.loads(bell.body)
    except ValueError:
        return ""
    return str(said.get("encounter", "")) if isinstance(said, dict) else ""


def _answered(wiring: Wiring, bells: Sequence[Message], ahead: Ahead) -> int:
    """Answer bells that ask for one thing; how many are done. The oldest has found it."""
    first, *others = bells
    store, now = wiring.store, wiring.clock.now()
    try:
        _end(wiring, bells, _answer(wiring, bells, ahead))
    except BillingError as error:
        if _passes(error, first, now):
            for bell in bells:
                store.doorbell_later(bell.id, error.say, now + _wait(bell, error))
            return 0
        store.failed(first.id, str(error), [{"key": error.code, "say": error.say, "fix": error.fix, "at": ""}])
        said = "it could not be read"
    except Exception as error:
        say = f"a doorbell that cannot be understood ({type(error).__name__})"
        store.failed(first.id, say, [{"key": "our-contract", "say": say, "fix": "", "at": ""}])
        said = "it could not be understood"
    else:
        return len(bells)
    for bell in others:
        store.doorbell_done(bell.id, f"together with message {first.id}: {said}")
    return len(others)


def _end(wiring: Wiring, bells: Sequence[Message], answer: str | Read) -> None:
    """Keep what was read and end the bells that asked for it, in one transaction."""
    first, *others = bells
    with wiring.store.answering() as box:
        said = answer if isinstance(answer, str) else answer.kept(box)
        box.done(first.id, said)
        for bell in others:
            box.done(bell.id, f"together with message {first.id}: {said}")


def _passes(error: BillingError, bell: Message, now: datetime) -> bool:
    """Whether the same visit may be readable later, with nothing changed here."""
    return isinstance(error, PASSES) or (isinstance(error, NotThere) and now < bell.at + EMPTY)


def _wait(bell: Message, error: BillingError) -> timedelta:
    return error.wait if isinstance(error, NotClosedYet) else wait_for(bell.attempts, error)


def _answer(wiring: Wiring, bells: Sequence[Message], ahead: Ahead) -> str | Read:
    bell = bells[0]
    if bell.who == STRANGER:
        raise NotAllowed("a notification without the right secret is not followed")
    if bell.who == UNREAD:
        raise TheirContract("what could not be read is no visit", fix="look at what the EHR sent")
    if bell.channel == mllp.CHANNEL:
        return heard.answer(wiring, bell, lambda encounter: read_visit(wiring, encounter, found_by=mllp.FOUND_BY))
    if _is_of_topic(bell):
        return topics.answer(wiring, bell, rang)
    said = json.loads(bell.body)
    encounter = str(said["encounter"])
    if not encounter:
        return f"somebody rang without saying for whom: {ring(wiring)} visits found"
    found_by = {one.channel for one in bells}
    if found_by == {CDS_HOOK} and (left := _not_closed(wiring, encounter, bells)):
        return left
    if found_by <= set(topics.CHANNELS) and _is_read(wiring, encounter):
        return f"{encounter} was read in this version"
    read = _read(wiring, encounter, found_by=str(said.get("found_by", "")), ahead=ahead)
    if isinstance(read, Read) and _lags(wiring, read, bells):
        raise NotCaughtUp("the chart does not show yet what rang")
    return read


def _lags(wiring: Wiring, read: Read, bells: Sequence[Message]) -> bool:
    """Whether a visit as read is older than what rang: another version, and one that is known or not finished.

    A later version rings for itself, and may be the one that was read; that one is told by its number where versions are numbers.
    """
    rung = {version for bell in bells if (version := str(json.loads(bell.body).get("version", "")))}
    if not rung or not read.version or read.version in rung or max(bell.attempts for bell in bells) >= CATCH_UP:
        return False
    if read.version.isdigit() and all(one.isdigit() and int(one) < int(read.version) for one in rung):
        return False
    with wiring.store.looking() as book:
        known = book.visit(read.encounter)
    return read.status != "finished" if known is None else known.version == read.version


def _not_closed(wiring: Wiring, encounter: str, bells: Sequence[Message]) -> str:
    """A clinician was about to close it: asked again a few times, then left to the others. Empty when it is closed."""
    seen = wiring.ehr[0].sight(encounter) if wiring.ehr else None
    if seen is not None and seen.status == "finished":
        return ""
    attempts = max(bell.attempts for bell in bells)
    if attempts < len(ASK_AGAIN):
        raise NotClosedYet(ASK_AGAIN[attempts])
    return f"{encounter} is not closed; whoever sees it close rings"


def _is_read(wiring: Wiring, encounter: str) -> bool:
    """Whether the book has the visit in the version that the chart has now: a topic names a visit, not a version."""
    with wiring.store.looking() as book:
        known = book.visit(encounter)
    if known is None or not known.version or wiring.ehr is None:
        return False
    seen = wiring.ehr[0].sight(encounter)
    return seen is not None and seen.version == known.version


def read_visit(wiring: Wiring, encounter: str, *, found_by: str) -> str:
    """Read a visit from the EHR, lay the charges on it that only HL7 v2 brought, and keep what was read."""
    read = _read(wiring, encounter, found_by=found_by)
    if isinstance(read, str):
        return read
    said = keep_visit(wiring, encounter, read.body, found_by=found_by, at=read.at)
    return said + read.of_charges


def _read(wiring: Wiring, encounter: str, *, found_by: str, ahead: Ahead | None = None) -> str | Read:
    if wiring.ehr is None:
        return "no EHR is set up"
    reader = wiring.ehr[0]
    read = ahead.gather(reader, encounter) if ahead else reader.gather(encounter)
    resources, of_charges = heard.laid(wiring, encounter, read)
    body = dumps({"encounter": encounter, "found_by": found_by, "resources": resources})
    visit = next((one for one in read if f"{one.get('resourceType')}/{one.get('id')}" == encounter), {})
    version = str((visit.get("meta") or {}).get("versionId", ""))
    key, status = _key(encounter, dumps(resources)), str(visit.get("status", ""))
    return Read(encounter, body, key, found_by, wiring.clock.now(), of_charges, version, status)


def keep_visit(wiring: Wiring, encounter: str, body: bytes, *, found_by: str, at: datetime) -> str:
    """Keep a visit's resources as read; the same ones again are one message."""
    key = _key(encounter, dumps(loads(body)["resources"]))
    _, new = wiring.store.keep(Kind.VISIT, key, body, at=at, channel="ehr", name=encounter, who=found_by)
    return _kept(encounter, new=new)


def _key(encounter: str, resources: bytes) -> str:
    return f"{encounter}:{hashlib.sha256(resources).hexdigest()[:32]}"


def _kept(encounter: str, *, new: bool) -> str:
    return f"read {encounter}" if new else f"read {encounter}: unchanged"
