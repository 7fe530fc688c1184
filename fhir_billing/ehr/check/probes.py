"""What is written to try an EHR says what it is, belongs to nobody where R4 allows that, and is marked as an error from the start.

Spec: FHIR R4 minimal valid resources; meta.tag.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fhir_billing.ehr.client import Resource
from fhir_billing.fhir.ours import BASE, meta

SYSTEM: Final = f"{BASE}NamingSystem/conformance-probe"
TAG: Final = {"system": f"{BASE}CodeSystem/written-by", "code": "conformance-probe"}
SAY: Final = "fhir-billing conformance-probe: not about anybody, made to be deleted"
KEYS: Final = {
    "Task": "write-task",
    "Claim": "write-claim",
    "ClaimResponse": "write-claim-response",
    "ExplanationOfBenefit": "write-eob",
    "Communication": "write-communication",
    "DocumentReference": "write-document",
    "ChargeItem": "write-charge-item",
}
NEEDS_PATIENT: Final = frozenset({"Claim", "ClaimResponse", "ExplanationOfBenefit", "ChargeItem"})
_NAMED: Final = {"display": SAY}
_PDF: Final = "Zmhpci1iaWxsaW5nIGNvbmZvcm1hbmNlLXByb2Jl"


def mark(number: str) -> list[Resource]:
    """The identifier by which a probe is found again."""
    return [{"system": SYSTEM, "value": number}]


def is_ours(resource: Resource) -> bool:
    """Whether a resource is a probe: nothing else is ever changed or deleted."""
    rows = resource.get("identifier")
    rows = rows if isinstance(rows, list) else [rows]
    return any(isinstance(row, dict) and row.get("system") == SYSTEM for row in rows)


def probe(kind: str, number: str, patient: str, now: datetime) -> Resource | None:
    """A harmless resource of this type; None for a type that has none."""
    if kind in NEEDS_PATIENT and not patient:
        return None
    made = _bodies(patient, now).get(kind)
    if made is None:
        return None
    own = meta()
    return {
        "resourceType": kind,
        "meta": {**own, "tag": [*own["tag"], dict(TAG)]},
        "identifier": mark(number),
        **made,
    }


def _bodies(patient: str, now: datetime) -> dict[str, Resource]:
    at = now.isoformat(timespec="seconds")
    bill: Resource = {
        "status": "entered-in-error",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
        "use": "claim",
        "patient": {"reference": patient},
        "created": at,
    }
    insurance = {"focal": True, "coverage": _NAMED}
    return {
        "Task": {"status": "entered-in-error", "intent": "order", "description": SAY},
        "Communication": {"status": "entered-in-error", "payload": [{"contentString": SAY}]},
        "DocumentReference": {
            "status": "entered-in-error",
            "type": {"text": SAY},
            "content": [{"attachment": {"contentType": "text/plain", "data": _PDF, "title": SAY}}],
        },
        "ChargeItem": {"status": "entered-in-error", "code": {"text": SAY}, "subject": {"reference": patient}},
        "Claim": {
            **bill,
            "provider": _NAMED,
            "priority": {"coding": [{"code": "normal"}]},
            "insurance": [{"sequence": 1, **insurance}],
        },
        "ClaimResponse": {**bill, "insurer": _NAMED, "outcome": "queued"},
        "ExplanationOfBenefit": {
            **bill,
            "insurer": _NAMED,
            "provider": _NAMED,
            "outcome": "queued",
            "insurance": [insurance],
        },
    }
