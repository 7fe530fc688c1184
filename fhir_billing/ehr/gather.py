"""A visit is read with all that its bill needs, in few requests, and what cannot be read is said, not guessed.

One search brings the encounter, what it points at and what points at it, where the EHR does that; what is still missing is
read by reference. A single resource that cannot be read is recorded and becomes a finding; a kind of resource that the EHR
forbids stops the visit, for half a chart would make a wrong bill.
Spec: `_include`, `_revinclude`; Coverage by beneficiary; references relative, absolute, conditional or by identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotNow, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported

WANTED = frozenset(
    {
        "Encounter", "Patient", "Coverage", "Procedure", "Condition", "ChargeItem", "Immunization", "Practitioner",
        "PractitionerRole", "Organization", "Location", "RelatedPerson", "Account",
    }
)  # fmt: skip
ROUNDS = 3
"""How far references are followed: coverage → payer, role → organization → its parent."""
MOST_REFERENCES = 200
PAGE = ("_count", "100")
AT_VISIT = {"Procedure": "encounter", "Condition": "encounter", "ChargeItem": "context", "Immunization": "encounter"}
"""The element by which each kind points at its visit."""

VISIT = [
    ("_include", "Encounter:subject"),
    ("_include", "Encounter:participant"),
    ("_include", "Encounter:service-provider"),
    ("_include", "Encounter:location"),
    ("_revinclude", "Procedure:encounter"),
    ("_revinclude", "Condition:encounter"),
    ("_revinclude", "ChargeItem:context"),
]


class Gathered:
    """The resources of one visit by `Type/id`, and the references that could not be read."""

    def __init__(self) -> None:
        self.found: dict[str, Resource] = {}
        self.missing: dict[str, str] = {}

    def add(self, resources: Iterable[Resource]) -> None:
        """Keep what the bill may need; the first reading of a resource stays."""
        for resource in resources:
            kind, name = resource.get("resourceType"), resource.get("id")
            if kind in WANTED and name:
                self.found.setdefault(f"{kind}/{name}", resource)

    def all(self) -> list[Resource]:
        """In a stable order, so that the same chart gives the same bytes."""
        outcome = [_problem(reference, say) for reference, say in sorted(self.missing.items())]
        return [*(self.found[key] for key in sorted(self.found)), *outcome]


def gather(client: FhirClient, encounter: str, *, forgive: frozenset[str] = frozenset()) -> list[Resource]:
    """All resources that a visit's bill needs, as read; kinds to `forgive` may be forbidden. Raises NotNow to try again later, ScopeMissing for what the EHR forbids."""
    visit_id = encounter.rsplit("/", maxsplit=1)[-1]
    gathered = Gathered()
    gathered.add(_at_visit(client, visit_id, _search(client, "Encounter", [("_id", visit_id), *VISIT])))
    visit = gathered.found.get(f"Encounter/{visit_id}")
    if visit is None:
        visit = client.read(f"Encounter/{visit_id}")
        gathered.add([visit])
    patient = _reach(client, gathered, visit.get("subject") or {})
    for kind, element in AT_VISIT.items():
        if not any(key.startswith(f"{kind}/") for key in gathered.found):
            _of_the_visit(client, gathered, kind, element, visit_id, patient, forgive)
    if patient:
        _insurance(client, gathered, patient)
    _follow(client, gathered)
    return gathered.all()


def _search(client: FhirClient, kind: str, params: list[tuple[str, str]]) -> list[Resource]:
    """What a search finds; one that the EHR does not know finds nothing. What it forbids or cannot do now is raised."""
    try:
        return list(client.search(kind, params, whole=True))
    except (NotThere, Unsupported):
        return []


def _at_visit(client: FhirClient, visit_id: str, resources: Iterable[Resource]) -> Iterator[Resource]:
    """Only this visit and what belongs to it: some EHRs answer more than was asked."""
    for resource in resources:
        kind = resource.get("resourceType")
        element = AT_VISIT.get(str(kind))
        if kind == "Encounter" and resource.get("id") != visit_id:
            continue
        if element is None or client.local(_literal(resource.get(element))) == f"Encounter/{visit_id}":
            yield resource


def _of_the_visit(
    client: FhirClient,
    gathered: Gathered,
    kind: str,
    element: str,
    visit_id: str,
    patient: str,
    forgive: frozenset[str],
) -> None:
    """What `_revinclude` did not bring is searched by the visit, else by the patient."""
    try:
        found: list[Resource] = []
        if kind != "Immunization":  # R4 has no search of vaccines by visit
            found = _search(client, kind, [(element, f"Encounter/{visit_id}"), PAGE])
        if not found and patient:
            found = _search(client, kind, [("patient", patient), PAGE])
    except ScopeMissing:
        if kind in forgive:
            return
        if kind == "Immunization" and any(key.startswith("ChargeItem/") for key in gathered.found):
            return  # what is charged stands in the charges already
        raise
    gathered.add(_at_visit(client, visit_id, found))


def _insurance(client: FhirClient, gathered: Gathered, patient: str) -> None:
    """The patient's coverages, with who pays and whose plan it is."""
    more = [("_include", "Coverage:payor"), ("_include", "Coverage:subscriber")]
    for params in ([("patient", patient), PAGE, *more], [("patient", patient), PAGE]):
        try:
            found = list(client.search("Coverage", params, whole=True))
            break
        except Unsupported:
            continue
    else:
        found = list(client.search("Coverage", [("beneficiary", patient), PAGE], whole=True))
    gathered.add(
        r
        for r in found
        if r.get("resourceType") != "Coverage" or client.local(_literal(r.get("beneficiary"))) in {patient, ""}
    )


def _follow(client: FhirClient, gathered: Gathered) -> None:
    """Read what is referred to and not here yet, a few rounds deep."""
    seen: set[str] = set()
    for _ in range(ROUNDS):
        wanted = {name(r): r for resource in list(gathered.found.values()) for r in references(resource)}
        new = [reference for key, reference in wanted.items() if key not in seen]
        if not new:
            return
        seen.update(wanted)
        if len(seen) > MOST_REFERENCES:
            raise EhrBrokeContract(
                f"one visit refers to more than {MOST_REFERENCES} resources", fix="look at the chart"
            )
        for reference in new:
            _reach(client, gathered, reference)


def _reach(client: FhirClient, gathered: Gathered, reference: Resource) -> str:
    """Read what a reference means, unless it is here; `Type/id`, or nothing when it cannot be reached, which is recorded."""
    literal = _literal(reference)
    local = client.local(literal)
    if local in gathered.found:
        return local
    try:
        if local:
            gathered.add([client.read(local)])
            return local
        kind, query = _query(client, reference)
        if not kind:
            gathered.missing[name(reference)] = "elsewhere"
            return ""
        found = [r for r in client.search(kind, query, pages=1) if r.get("resourceType") == kind]
    except NotNow:
        raise
    except BillingError as error:
        gathered.missing[name(reference)] = error.code
        return local
    if len(found) != 1:
        gathered.missing[name(reference)] = "not-there" if not found else "ambiguous"
        return ""
    gathered.add(found)
    return f"{kind}/{found[0].get('id', '')}"


def _query(client: FhirClient, reference: Resource) -> tuple[str, list[tuple[str, str]]]:
    """Type and search of a conditional reference, or of one by identifier only."""
    literal = _literal(reference).removeprefix(f"{client.base}/")
    kind, mark, query = literal.partition("?")
    if mark and kind in WANTED:
        return kind, parse_qsl(query)
    identifier = reference.get("identifier")
    kind = str(reference.get("type", ""))
    if not literal and isinstance(identifier, dict) and identifier.get("value") and kind in WANTED:
        system = f"{identifier['system']}|" if identifier.get("system") else ""
        return kind, [("identifier", f"{system}{identifier['value']}")]
    return "", []


def _literal(reference: Any) -> str:
    found = reference.get("reference") if isinstance(reference, dict) else None
    return found if isinstance(found, str) else ""


def name(reference: Resource) -> str:
    """How a reference is named when it could not be followed."""
    identifier = reference.get("identifier")
    value = identifier.get("value", "") if isinstance(identifier, dict) else ""
    return _literal(reference) or f"{reference.get('type', '')} by identifier {value}"


def references(value: Any) -> Iterator[Resource]:
    """References to what a bill may need, wherever they stand in a resource; those inside it (`#id`) are no errand."""
    if isinstance(value, dict):
        literal = _literal(value)
        if not literal.startswith("#") and _kinds(value, literal) & WANTED - {"Encounter"}:
            yield value
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def _kinds(reference: Resource, literal: str) -> set[str]:
    """The types that a reference may name: as its first step (relative), its last but one (absolute), or in words."""
    if not literal:
        return {str(reference.get("type", ""))} if isinstance(reference.get("identifier"), dict) else set()
    steps = literal.split("?", maxsplit=1)[0].split("/_history/", maxsplit=1)[0].rstrip("/").split("/")
    return {steps[0], steps[-1] if "?" in literal else steps[-2] if len(steps) > 1 else ""}


def _problem(reference: str, code: str) -> Resource:
    """What could not be read, as FHIR says it; the mapping turns it into a finding."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": code, "expression": [reference]}],
    }
