"""Medplum notes in `meta` who wrote a resource, for which project and account; R4 has no such elements.

Its published FHIR router was run; the elements are from its documentation (project, author, account, compartment).
"""

from __future__ import annotations

from typing import Any, Final

NOT_R4: Final = frozenset({"project", "author", "onBehalfOf", "account", "accounts", "compartment"})


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource with R4's own meta."""
    meta = resource.get("meta")
    if not isinstance(meta, dict) or not NOT_R4 & meta.keys():
        return resource
    return {**resource, "meta": {name: value for name, value in meta.items() if name not in NOT_R4}}
