"""eClinicalWorks declares US Core resources, and nothing public shows one that departs from it.

From its published CapabilityStatement and scope list, not run: ChargeItem is searched by nobody there, so prices come from the
site's charge master. What a practice's own answers show otherwise belongs here.
"""

from __future__ import annotations

from typing import Any


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as it is."""
    return resource
