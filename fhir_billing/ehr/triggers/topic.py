"""A topic rings by itself, by number; what it told and nobody heard is asked for.

Spec: Subscriptions R5 Backport 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Looked
from fhir_billing.ehr import gaps
from fhir_billing.ehr.client import FhirClient


@dataclass(frozen=True, slots=True)
class Topic:
    """Looks after the topic subscriptions of one EHR."""

    client: FhirClient
    remembered: Remembered
    name: str = "topic"

    def look(self, cursor: str, now: datetime) -> Looked:
        """What the EHR tried to tell and nobody heard."""
        mine = [one for one in self.remembered.followed() if one.subscribed.way == self.name]
        return gaps.look(self.client, mine, cursor, now)


def make(client: FhirClient, remembered: Remembered, word: str) -> Topic:
    """The topics of one EHR."""
    return Topic(client, remembered)
