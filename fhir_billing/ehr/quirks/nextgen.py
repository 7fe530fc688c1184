"""NextGen Enterprise serves 28 US Core kinds to read and search, and no Appointment, no ChargeItem, no event.

From its published CapabilityStatement, not run. Nothing public shows a resource that departs from US Core; what a practice's
own answers show otherwise belongs here.
"""

from __future__ import annotations

from typing import Any


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as it is."""
    return resource
