"""The living status of a claim is a Task on it: whose turn it is, in FHIR's words and in ours.

Spec: Task.status, Task.businessStatus (no required binding: our CodeSystem billing-status), Task.focus, Task.for.
"""

from __future__ import annotations

from typing import Final

from fhir_billing.domain.lifecycle import OWNERS, State
from fhir_billing.fhir.ours import BASE, Resource, identifier, meta, where

BILLING_STATUS: Final = f"{BASE}CodeSystem/billing-status"

STATUS: Final[dict[State, tuple[str, str, str]]] = {
    State.DRAFTED: ("draft", "drafted", "Being prepared"),
    State.HELD: ("on-hold", "needs-information", "Needs information"),
    State.READY: ("ready", "ready", "Ready to send"),
    State.QUEUED: ("requested", "queued", "Being sent"),
    State.SENT: ("requested", "sent", "Sent"),
    State.RECEIVED: ("received", "received", "Received by the payer"),
    State.REJECTED: ("failed", "rejected", "Rejected before a decision"),
    State.ACCEPTED: ("accepted", "in-adjudication", "Accepted for a decision"),
    State.PENDED: ("in-progress", "pended", "The payer is deciding"),
    State.QUERIED: ("on-hold", "information-requested", "The payer asks for information"),
    State.PAID: ("completed", "adjudicated", "Paid"),
    State.DENIED: ("completed", "denied", "Denied"),
    State.APPEALED: ("in-progress", "appealed", "Appealed"),
    State.CLOSED: ("completed", "closed", "Closed"),
    State.VOIDED: ("cancelled", "voided", "Withdrawn"),
}
"""State → Task.status, code and words of Task.businessStatus."""


def task(
    *, number: str, state: State, patient: str, encounter: str, since: str, why: str = "", claim_is_written: bool
) -> Resource:
    """The Task of one claim. `since` is when it came into this state (ISO 8601); `why` a sentence without patient data."""
    status, code, words = STATUS[state]
    resource: Resource = {
        "resourceType": "Task",
        "meta": meta(),
        "identifier": identifier(number),
        "status": status,
        "businessStatus": {"coding": [{"system": BILLING_STATUS, "code": code, "display": words}], "text": words},
        "intent": "order",
        "code": {"text": "Billing of this visit"},
        "for": {"reference": patient},
        "encounter": {"reference": encounter},
        "lastModified": since,
        "owner": {"display": OWNERS[state].value},
    }
    if claim_is_written:
        resource["focus"] = {"reference": where("Claim", number)}
    if why:
        resource["statusReason"] = {"text": why}
    return resource


def code_system() -> Resource:
    """Our CodeSystem of billing statuses, as we publish it."""
    return {
        "resourceType": "CodeSystem",
        "url": BILLING_STATUS,
        "status": "active",
        "content": "complete",
        "name": "BillingStatus",
        "concept": [{"code": code, "display": words} for _, code, words in STATUS.values()],
    }
