"""A visit is read with all that its bill needs, in few requests, and what cannot be read is said, not guessed.

One search brings the encounter, what it points at and what points at it, where the EHR does that; what is still missing is
read by reference. Spec: `_include`, `_revinclude`; Coverage by beneficiary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotNow
from fhir_billing.ehr.client import FhirClient, Resource

WANTED = frozenset(
    {
        "Encounter", "Patient", "Coverage", "Procedure", "Condition", "ChargeItem", "Immunization", "Practitioner",
        "PractitionerRole", "Organization", "Location", "RelatedPerson", "Account",
    }
)  # fmt: skip
ROUNDS = 3
"""How far references are followed: coverage → payer, role → organization → its parent."""
MOST_REFERENCES = 200

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


def gather(client: FhirClient, encounter: str) -> list[Resource]:
    """All resources that a visit's bill needs, as read. Raises NotNow to try again later."""
    visit_id = encounter.rsplit("/", maxsplit=1)[-1]
    gathered = Gathered()
    gathered.add(client.search("Encounter", [("_id", visit_id), *VISIT]))
    visit = gathered.found.get(f"Encounter/{visit_id}")
    if visit is None:
        visit = client.read(f"Encounter/{visit_id}")
        gathered.add([visit])
    _of_the_visit(client, gathered, visit, visit_id)
    patient = str((visit.get("subject") or {}).get("reference", ""))
    if patient:
        gathered.add(
            client.search(
                "Coverage",
                [("beneficiary", patient), ("_include", "Coverage:payor"), ("_include", "Coverage:subscriber")],
            )
        )
    _follow(client, gathered)
    return gathered.all()


def _of_the_visit(client: FhirClient, gathered: Gathered, visit: Resource, visit_id: str) -> None:
    """What `_revinclude` did not bring is searched by its own parameter; a type that the EHR does not serve is no fault."""
    here = {key.split("/")[0] for key in gathered.found}
    patient = str((visit.get("subject") or {}).get("reference", ""))
    searches = [(kind, "encounter") for kind in ("Procedure", "Condition") if kind not in here]
    searches += [("ChargeItem", "context")] if "ChargeItem" not in here else []
    for kind, parameter in searches:
        _try(gathered, kind, client, [(parameter, f"Encounter/{visit_id}")])
    if patient:
        vaccines: list[Resource] = []
        _try(gathered, "Immunization", client, [("patient", patient)], into=vaccines)
        at_visit = f"Encounter/{visit_id}"
        gathered.add(v for v in vaccines if str((v.get("encounter") or {}).get("reference", "")).endswith(at_visit))


def _try(
    gathered: Gathered, kind: str, client: FhirClient, params: list[tuple[str, str]], into: list[Resource] | None = None
) -> None:
    try:
        found = list(client.search(kind, params))
    except NotNow:
        raise
    except BillingError:
        return
    if into is None:
        gathered.add(found)
    else:
        into.extend(found)


def _follow(client: FhirClient, gathered: Gathered) -> None:
    """Read what is referred to and not here yet, a few rounds deep."""
    for _ in range(ROUNDS):
        wanted = [
            reference
            for resource in list(gathered.found.values())
            for reference in references(resource)
            if reference not in gathered.found and reference not in gathered.missing
        ]
        if not wanted:
            return
        if len(wanted) > MOST_REFERENCES:
            raise EhrBrokeContract(
                f"one visit refers to more than {MOST_REFERENCES} resources", fix="look at the chart"
            )
        for reference in dict.fromkeys(wanted):
            try:
                gathered.add([client.read(reference)])
            except NotNow:
                raise
            except BillingError as error:
                gathered.missing[reference] = error.code


def references(value: Any) -> Iterator[str]:
    """Relative literal references to what a bill may need, wherever they stand in a resource."""
    if isinstance(value, dict):
        literal = value.get("reference")
        if isinstance(literal, str):
            kind, _, name = literal.partition("/")
            if kind in WANTED and kind != "Encounter" and name and "/" not in name and "?" not in name:
                yield literal
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def _problem(reference: str, code: str) -> Resource:
    """What could not be read, as FHIR says it; the mapping turns it into a finding."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": code, "expression": [reference]}],
    }
