"""A websocket rings by itself; what it lost while the line was down is found like any topic's gap.

The listening is a thread of the worker (`worker/listening.py`); here only its numbers are looked after.
Spec: Subscriptions R5 Backport 1.1, websocket channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Looked
from fhir_billing.ehr import gaps
from fhir_billing.ehr.client import FhirClient


@dataclass(frozen=True, slots=True)
class Websocket:
    """Looks after the websocket subscriptions of one EHR."""

    client: FhirClient
    remembered: Remembered
    name: str = "websocket"

    def look(self, cursor: str, now: datetime) -> Looked:
        """What the EHR tried to tell and nobody heard."""
        mine = [one for one in self.remembered.followed() if one.subscribed.way == self.name]
        return gaps.look(self.client, mine, cursor, now)


def make(client: FhirClient, remembered: Remembered, word: str) -> Websocket:
    """The websocket of one EHR."""
    return Websocket(client, remembered)
