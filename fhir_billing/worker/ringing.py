"""Whoever says that a visit changed only rings; each visit that rang is read from the EHR again, and what was read is kept."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from fhir_billing.cycle.ports import Sighting, Trigger
from fhir_billing.cycle.records import Kind, Message
from fhir_billing.domain.errors import BillingError, NotAllowed, NotNow
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import heard, mllp
from fhir_billing.worker.waiting import wait_for

_log = log("worker")
CURSOR = "ehr"
STRANGER = "stranger"
"""Who rings without the right secret."""


def ring(wiring: Wiring) -> int:
    """Look for closed visits in every way that this EHR is looked at; each sighting becomes a doorbell.

    One way that fails stops no other; when all fail, the last error is raised.
    """
    if wiring.ehr is None:
        return 0
    count, failed = 0, []
    ways = wiring.ehr[0].triggers()
    for trigger in ways:
        try:
            count += _look(wiring, trigger)
        except BillingError as error:
            _log.warning("a trigger finds nothing now", trigger=trigger.name, code=error.code)
            failed.append(error)
    if ways and len(failed) == len(ways):
        raise failed[-1]
    return count


def _look(wiring: Wiring, trigger: Trigger) -> int:
    cursor = f"{CURSOR}:{trigger.name}"
    looked = trigger.look(wiring.store.cursor(cursor), wiring.clock.now())
    count = sum(rang(wiring, sighting, found_by=trigger.name) for sighting in looked.sightings)
    wiring.store.set_cursor(cursor, looked.cursor)
    return count


def rang(wiring: Wiring, sighting: Sighting, *, found_by: str) -> bool:
    """Keep a doorbell for a sighting, once for each version of a visit; False when it is known."""
    said = {"encounter": sighting.encounter, "version": sighting.version, "found_by": found_by}
    now = wiring.clock.now()
    key = f"{sighting.encounter}:{sighting.version or now.isoformat()}"
    _, new = wiring.store.keep(Kind.DOORBELL, key, json.dumps(said).encode(), at=now, channel=found_by, who=found_by)
    return new


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
    if bell.channel == mllp.CHANNEL:
        return heard.answer(wiring, bell, lambda encounter: read_visit(wiring, encounter, found_by=mllp.FOUND_BY))
    rang = json.loads(bell.body)
    encounter = str(rang["encounter"])
    if not encounter:
        return f"somebody rang without saying for whom: {ring(wiring)} visits found"
    return read_visit(wiring, encounter, found_by=str(rang.get("found_by", "")))


def read_visit(wiring: Wiring, encounter: str, *, found_by: str) -> str:
    """Read a visit from the EHR, lay the charges on it that only HL7 v2 brought, and keep what was read."""
    if wiring.ehr is None:
        return "no EHR is set up"
    resources, of_charges = heard.laid(wiring, encounter, wiring.ehr[0].gather(encounter))
    body = dumps({"encounter": encounter, "found_by": found_by, "resources": resources})
    return keep_visit(wiring, encounter, body, found_by=found_by, at=wiring.clock.now()) + of_charges


def keep_visit(wiring: Wiring, encounter: str, body: bytes, *, found_by: str, at: datetime) -> str:
    """Keep a visit's resources as read; the same ones again are one message."""
    digest = hashlib.sha256(dumps(loads(body)["resources"])).hexdigest()
    _, new = wiring.store.keep(
        Kind.VISIT, f"{encounter}:{digest[:32]}", body, at=at, channel="ehr", name=encounter, who=found_by
    )
    return f"read {encounter}" if new else f"read {encounter}: unchanged"


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
