"""A corrected bill is looked at by every edit again before it may leave."""

from __future__ import annotations

from typing import Any

from fhir_billing.cycle.draft import scrub_resource
from fhir_billing.cycle.records import ClaimRecord
from fhir_billing.cycle.turn import Turn, as_rows
from fhir_billing.domain.lifecycle import Event
from fhir_billing.fhir.text import dumps, loads


def rescrub(turn: Turn, claim: ClaimRecord) -> ClaimRecord:
    """Scrub a drafted claim: ready, or held with its findings."""
    resource = loads(claim.resource)
    findings = scrub_resource(resource, turn.site, today=turn.today)
    blocking = [finding for finding in findings if finding.is_blocking]
    resource["status"] = "draft" if blocking else "active"
    changes: dict[str, Any] = {"findings": as_rows(findings), "resource": dumps(resource)}
    for finding in findings:
        turn.tell(claim.number, "finding", f"{finding.say} [{finding.key}]")
    if blocking:
        return turn.move(claim, Event.SCRUB_FOUND, f"Held: {blocking[0].say}", **changes)
    return turn.move(claim, Event.SCRUB_CLEAN, "Clean: no edit holds it", **changes)
