"""athenahealth says in an extension which department of which practice a resource belongs to; that is who served the visit.

From athenahealth's published notifications and answers (extensions `ah-department` and `ah-practice` of fhir.athena.io, ids
such as `a-195900.E-51711`), not run. Departments and practices are Organizations there.
"""

from __future__ import annotations

from typing import Any, Final

Resource = dict[str, Any]
HERE: Final = "https://fhir.athena.io/StructureDefinition/"
PLACES: Final = (f"{HERE}ah-department", f"{HERE}ah-practice")
"""Where a visit was served, the narrower first."""


def normalise(resource: Resource) -> Resource:
    """A visit that names no provider was served by its department, else by its practice."""
    if resource.get("resourceType") != "Encounter" or resource.get("serviceProvider"):
        return resource
    extensions = resource.get("extension")
    rows = [e for e in extensions if isinstance(e, dict)] if isinstance(extensions, list) else []
    for url in PLACES:
        for extension in rows:
            if extension.get("url") == url and isinstance(extension.get("valueReference"), dict):
                return {**resource, "serviceProvider": extension["valueReference"]}
    return resource
