"""Whether an interchange could be opened: one segment between its envelopes.

Spec: X12.5 TA1. It needs no group and no set, so it stands here as a loop of its own.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

GUIDE = guide("TA1", "00501", "TA", "TA1! TA1")
