"""HAPI stamps each write with the request that made it (`meta.source` beginning `#`), which says nothing of the chart.

From HAPI FHIR's documentation, not run. Left in place, a rewrite of the same content would look like a changed chart.
"""

from __future__ import annotations

from typing import Any


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without the request's mark; a source that means something stays."""
    meta = resource.get("meta")
    if not isinstance(meta, dict) or "#" not in str(meta.get("source", "")):
        return resource
    source = str(meta["source"]).partition("#")[0]
    rest = {name: value for name, value in meta.items() if name != "source"}
    return {**resource, "meta": {**rest, "source": source} if source else rest}
