"""Canvas has a Claim of its own for each visit, and lets an app move it from queue to queue: its billers see where ours stands.

The claim is theirs: nothing of it is changed but the queue, in the version that was read, and a queue that the site's people
chose (Trash, or one of their own) is left. It is never chosen by a check, for a check may not move a real claim; a site names it.
Spec: Canvas FHIR API, Claim update ("limited to updating the queue"), extension claim-queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fhir_billing.domain.errors import Contended
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.putting import NOT_TAKEN, TRIES, give_way, version_of
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import encounter_of

EXTENSION: Final = "http://schemas.canvasmedical.com/fhir/extensions/claim-queue"
QUEUES: Final[Mapping[str, str]] = {
    "drafted": "NeedsCodingReview",
    "needs-information": "NeedsClinicianReview",
    "ready": "QueuedForSubmission",
    "queued": "QueuedForSubmission",
    "sent": "FiledAwaitingResponse",
    "received": "FiledAwaitingResponse",
    "in-adjudication": "FiledAwaitingResponse",
    "pended": "FiledAwaitingResponse",
    "appealed": "FiledAwaitingResponse",
    "information-requested": "RejectedNeedsReview",
    "rejected": "RejectedNeedsReview",
    "denied": "RejectedNeedsReview",
    "adjudicated": "AdjudicatedOpenBalance",
    "closed": "ZeroBalance",
    "voided": "Trash",
}
"""The status of our Task → the built-in queue of Canvas."""


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Move the visit's claim to the queue that fits."""
    queue = queue_of(told)
    known = held.get("Claim")
    if not queue or (known is not None and known.digest == queue):
        return [_put("unchanged", known.reference, known.version, queue)] if known is not None else []
    try:
        return [_moved(client, told, known, queue)]
    except NOT_TAKEN as error:
        return [Put(kind="Claim", verb="not taken", why=error.code)]


def queue_of(told: Told) -> str:
    """The queue that fits the claim's status; empty for a status that has none."""
    task: Mapping[str, Any] = next((one for one in told.resources if one["resourceType"] == "Task"), {})
    codes = [str(one.get("code", "")) for one in (task.get("businessStatus") or {}).get("coding", ())]
    return next((QUEUES[code] for code in codes if code in QUEUES), "")


def _moved(client: FhirClient, told: Told, known: Held | None, queue: str) -> Put:
    for _ in range(TRIES):
        claim = client.read(known.reference) if known else _of_visit(client, encounter_of(told))
        if claim is None:
            return Put(kind="Claim", verb="not taken", why="the EHR has no claim of this visit yet")
        place, stands = f"Claim/{claim['id']}", _queue(claim)
        own = stands and stands not in QUEUES.values()
        if stands == queue or own or (stands == "Trash" and known is None):
            return _put("unchanged", place, version_of(claim), queue)
        give_way(told.is_latest)
        try:
            after = client.update(_in_queue(claim, queue), version=version_of(claim))
        except Contended:
            continue
        return _put("updated", place, version_of(after), queue)
    raise Contended("somebody else keeps moving this claim")


def _of_visit(client: FhirClient, encounter: str) -> Resource | None:
    found = client.search("Claim", {"encounter": encounter})
    return next((one for one in found if one.get("resourceType") == "Claim"), None)


def _queue(claim: Resource) -> str:
    rows = [row for row in claim.get("extension") or [] if row.get("url") == EXTENSION]
    return str((rows[0].get("valueCoding") or {}).get("code", "")) if rows else ""


def _in_queue(claim: Resource, queue: str) -> Resource:
    others = [row for row in claim.get("extension") or [] if row.get("url") != EXTENSION]
    coding = {"system": "http://canvasmedical.com", "code": queue}
    return {**claim, "extension": [*others, {"url": EXTENSION, "valueCoding": coding}]}


def _put(verb: str, reference: str, version: str, queue: str) -> Put:
    return Put(kind="Claim", verb=verb, reference=reference, version=version, digest=queue)


RUNG = Rung(
    name="native-queue",
    order=2,
    say="The EHR's own claim stands in the queue that fits: to be reviewed, filed, rejected, adjudicated or paid.",
    needs=(Need(kind="claim-queue", act="agreed"),),
    write=write,
)
