"""A chart's resources name each other in many ways; here each way is told apart, and none is followed.

Relative, absolute, versioned, conditional (`Practitioner?identifier=…`), by identifier alone, inside the resource (`#id`),
or `urn:uuid:…`, which means something only inside the bundle that it came in.
Spec: FHIR R4 references, https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from fhir_billing.domain.errors import EhrBrokeContract
from fhir_billing.ehr.addresses import LONGEST

Resource = dict[str, Any]
WANTED = frozenset(
    {
        "Encounter", "Patient", "Coverage", "Procedure", "Condition", "ChargeItem", "Immunization", "Practitioner",
        "PractitionerRole", "Organization", "Location", "RelatedPerson", "Account",
    }
)  # fmt: skip
DEEPEST = 64
"""How deep a resource may be nested; no R4 resource that a bill needs comes near it."""
_SHOWN = 200


def literal(reference: Any) -> str:
    """The text of a reference; empty when it has none."""
    found = reference.get("reference") if isinstance(reference, dict) else None
    return found if isinstance(found, str) else ""


def name(reference: Resource) -> str:
    """How a reference is named when it could not be followed."""
    identifier = reference.get("identifier")
    value = identifier.get("value", "") if isinstance(identifier, dict) else ""
    said = literal(reference) or f"{reference.get('type', '')} by identifier {value}"
    return said if len(said) <= LONGEST else f"{said[:_SHOWN]}… ({len(said)} characters)"


def references(resource: Resource) -> Iterator[Resource]:
    """References to what a bill may need, wherever they stand in a resource; those inside it (`#id`) are no errand.

    Raises EhrBrokeContract for a resource that is nested too deep to be one.
    """
    level: list[Any] = [resource]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if _is_wanted(value):
                    yield value
                below += [child for child in value.values() if isinstance(child, dict | list)]
            else:
                below += [child for child in value if isinstance(child, dict | list)]
        if not below:
            return
        level = below
    place = f"{resource.get('resourceType')}/{resource.get('id')}"
    raise EhrBrokeContract(
        f"{place} is nested more than {DEEPEST} levels deep", fix="mend this resource in the chart, and read the visit again"
    )  # fmt: skip


def query(base: str, reference: Resource) -> tuple[str, list[tuple[str, str]]]:
    """Type and search of a conditional reference, or of one by identifier only; no type when it is neither."""
    said = literal(reference).removeprefix(f"{base}/")
    if len(said) > LONGEST:
        return "", []
    kind, mark, asked = said.partition("?")
    if mark and kind in WANTED:
        return kind, parse_qsl(asked)
    identifier = reference.get("identifier")
    kind = str(reference.get("type", ""))
    if not said and isinstance(identifier, dict) and _is_text(identifier.get("value")) and kind in WANTED:
        system = f"{identifier['system']}|" if _is_text(identifier.get("system")) else ""
        return kind, [("identifier", f"{system}{identifier['value']}")]
    return "", []


def answers(resource: Resource, asked: list[tuple[str, str]]) -> bool:
    """Whether a resource is what a search by identifier asked for: some EHRs answer with what was not asked."""
    for _, wanted in (one for one in asked if one[0] == "identifier"):
        system, bar, value = wanted.rpartition("|")
        rows = resource.get("identifier")
        if not any(
            isinstance(row, dict) and row.get("value") == value and (not bar or row.get("system", "") == system)
            for row in (rows if isinstance(rows, list) else [])
        ):
            return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST


def _is_wanted(value: Resource) -> bool:
    said = literal(value)
    if not said:
        return isinstance(value.get("identifier"), dict) and value.get("type") in _FOLLOWED
    if said.startswith("#"):
        return False
    if said.startswith("urn:"):
        return value.get("type", "Patient") in _FOLLOWED
    steps = said[: LONGEST + 1].split("?", maxsplit=1)[0].split("/_history/", maxsplit=1)[0].rstrip("/").split("/")
    kinds = {steps[0], steps[-1] if "?" in said else steps[-2] if len(steps) > 1 else ""}
    return not kinds.isdisjoint(_FOLLOWED)


_FOLLOWED = tuple(sorted(WANTED - {"Encounter"}))
