"""A topic rings by itself, by number; what it told and nobody heard is asked for.

Spec: Subscriptions R5 Backport 1.1.
"""

from __future__ import annotations

from fhir_billing.cycle.looking import Remembered
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.gaps import Watch


def make(client: FhirClient, remembered: Remembered, word: str) -> Watch:
    """The topics of one EHR."""
    return Watch(client, remembered, "topic")
