"""A poll by `_lastUpdated` finds what every other way missed; the overlap repeats what is known, which is no news.

Spec: FHIR R4 Encounter search `_lastUpdated`, `_sort`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Looked
from fhir_billing.ehr import subscriptions
from fhir_billing.ehr.client import FhirClient


@dataclass(frozen=True, slots=True)
class Poll:
    """Asks the EHR for visits that changed since the cursor."""

    client: FhirClient
    name: str = "poll"

    def look(self, cursor: str, now: datetime) -> Looked:
        """Visits changed since the cursor (an ISO time, empty for all that are finished)."""
        return subscriptions.poll(self.client, cursor, now)


def make(client: FhirClient, remembered: Remembered, word: str) -> Poll:
    """The poll of one EHR."""
    return Poll(client)
