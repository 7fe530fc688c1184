"""A websocket rings by itself; what it lost while the line was down is found like any topic's gap.

The listening is a thread of the worker (`worker/listening.py`); here only its numbers are looked after.
Spec: Subscriptions R5 Backport 1.1, websocket channel.
"""

from __future__ import annotations

from fhir_billing.cycle.looking import Remembered
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.gaps import Watch


def make(client: FhirClient, remembered: Remembered, word: str) -> Watch:
    """The websocket of one EHR."""
    return Watch(client, remembered, "websocket")
