"""A message in the chart says how far a claim is: one for each claim, rewritten as the claim goes on, never a second beside it.

Spec: FHIR R4 Communication.status, .topic, .payload; no category of a clinical note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.putting import by_number, settle
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import encounter_of, signed, since_of
from fhir_billing.fhir.ours import identifier, meta


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """The claim's message."""
    put = settle(client, by_number(message(told), told.claim), held.get("Communication"), told.is_latest)
    return [put, *signed(client, told, held, [put])]


def message(told: Told) -> Resource:
    """The message that says how far the claim is."""
    task: Mapping[str, Any] = next((one for one in told.resources if one["resourceType"] == "Task"), {})
    resource: Resource = {
        "resourceType": "Communication",
        "meta": meta(),
        "identifier": identifier(told.claim),
        "status": "completed",
        "category": [{"text": "Billing"}],
        "topic": {"text": "Billing status"},
        "subject": dict(task.get("for") or {}),
        "encounter": {"reference": encounter_of(told)},
        "sent": since_of(told),
        "sender": {"type": "Device", "display": "fhir-billing"},
        "payload": [{"contentString": text} for text in sentences(told, task)],
    }
    return {name: value for name, value in resource.items() if value}


def sentences(told: Told, task: Mapping[str, Any]) -> list[str]:
    """What it says, for a person."""
    row: Mapping[str, Any] = next((row for row in told.visit.get("rows", ()) if row.get("number") == told.claim), {})
    status = row.get("status") or (task.get("businessStatus") or {}).get("text", "")
    said = [f"Billing of this visit, claim {told.claim}: {status}."]
    if row.get("payer"):
        said.append(f"Payer: {row['payer']}.")
    if row.get("charge"):
        said.append(f"Charge {row['charge']}, paid {row['paid']}, patient's share {row['patient']}.")
    why = (task.get("statusReason") or {}).get("text", "")
    if why:
        said.append(f"{why}.".replace("..", "."))
    if row.get("next"):
        said.append(f"Next: {row['next']}.")
    return said


RUNG = Rung(
    name="communication",
    order=4,
    say="A message in the chart says how far each claim is; it is rewritten, not repeated.",
    needs=(Need(kind="Communication", act="create"), Need(kind="Communication", act="update")),
    write=write,
)
