"""A Task says of each claim how far it is and whose turn it is; it is changed in place, so a chart shows one and the latest.

Spec: FHIR R4 Task.status, .businessStatus, .owner, .statusReason.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import tell


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """The claim's Task."""
    return tell(client, told, held, ("Task",))


RUNG = Rung(
    name="task",
    order=3,
    say="A task of each claim stands in the chart: its status, whose turn it is, and why it waits.",
    needs=(Need(kind="Task", act="create"), Need(kind="Task", act="update")),
    write=write,
)
