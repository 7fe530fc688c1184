"""An EHR that takes nothing is written nothing, and that is said: the bill is seen on our own page, opened from the chart."""

from __future__ import annotations

from collections.abc import Mapping

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Held, Put, Rung, Told


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Nothing."""
    return []


RUNG = Rung(
    name="page-only",
    order=7,
    say="Nothing is written into the chart: the bill is seen on our page, opened from the chart.",
    needs=(),
    write=write,
)
