"""Veradigm serves US Core kinds; the rest of its record is behind an interface of its own, which is not read here.

From its published CapabilityStatement, not run. Nothing public shows a resource that departs from US Core; what a practice's
own answers show otherwise belongs here.
"""

from __future__ import annotations

from typing import Any


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as it is."""
    return resource
