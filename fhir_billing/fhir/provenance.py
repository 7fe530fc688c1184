"""Who reads what we wrote can see who wrote it, when it became so, and from which visit: a Provenance for each claim.

It is our software that speaks, not a person. It stays one: it is changed with what it is about.
Spec: Provenance.target, .recorded, .activity, .agent.who (Device), .entity (role source).
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_billing.fhir.ours import Resource, meta


def provenance(targets: Sequence[str], *, encounter: str, recorded: str) -> Resource:
    """The Provenance of what we wrote of one claim. `recorded` is when the claim came into its state (an instant)."""
    resource: Resource = {
        "resourceType": "Provenance",
        "meta": meta(),
        "target": [{"reference": reference} for reference in targets],
        "recorded": recorded,
        "activity": {"text": "Telling the chart of a bill"},
        "agent": [{"who": {"type": "Device", "display": "fhir-billing"}}],
    }
    if encounter:
        resource["entity"] = [{"role": "source", "what": {"reference": encounter}}]
    return resource
