"""Epic names a visit's class in a list of its own; the ambulatory entries that its sandbox shows are ambulatory here.

From Epic's published sandbox answers (Encounter.class in system 1.2.840.114350.1.72.1.7.7.10.696784.13260, code 13
"Support OP Encounter", code 5 "Appointment"), not run. The list is each organization's: a code that is not here stays, and
the mapping says that the site's table `claim-kind` needs a row for it. Newer releases send v3-ActCode, which stays too.
"""

from __future__ import annotations

from typing import Any, Final

CLASSES: Final = "urn:oid:1.2.840.114350.1.72.1.7.7.10.696784.13260"
ACT: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
KNOWN: Final = {"13": "AMB", "5": "AMB"}


def normalise(resource: dict[str, Any]) -> dict[str, Any]:
    """The visit's class as v3-ActCode."""
    said = resource.get("class")
    if resource.get("resourceType") != "Encounter" or not isinstance(said, dict) or said.get("system") != CLASSES:
        return resource
    code = KNOWN.get(str(said.get("code", "")))
    return {**resource, "class": {**said, "system": ACT, "code": code}} if code else resource
