"""A server that speaks plain R4 needs nothing changed."""

from __future__ import annotations

from typing import Any


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as it is."""
    return resource
