"""A site's concept table, as others read it: a ConceptMap, with codes only and none of their words.

Spec: FHIR R4 ConceptMap; ConceptMap.group.unmapped for what a table says of codes that it does not know.
"""

from __future__ import annotations

from typing import Any, Final

from fhir_billing.fhir.ours import BASE, meta
from fhir_billing.mapping.terminology import Table, Target

Resource = dict[str, Any]
URL: Final = f"{BASE}ConceptMap/"
NOT_THE_SAME: Final = "The target does not say all that the code says."


def concept_map(table: Table, version: str) -> Resource:
    """The whole table: a group for each pair of systems."""
    groups: dict[tuple[str, str], dict[str, list[Target]]] = {}
    for (system, code), target in table.rows.items():
        groups.setdefault((system, target.system), {}).setdefault(code, []).append(target)
    resource: Resource = {
        "resourceType": "ConceptMap",
        "meta": meta(),
        "url": URL + table.name,
        "version": version,
        "name": "".join(word.capitalize() for word in table.name.split("-")),
        "status": "active",
    }
    if groups:
        resource["group"] = [_group(table, systems, rows) for systems, rows in groups.items()]
    return resource


def _group(table: Table, systems: tuple[str, str], rows: dict[str, list[Target]]) -> Resource:
    source, target = systems
    group: Resource = {
        **({"source": source} if source else {}),
        **({"target": target} if target else {}),
        "element": [{"code": code, "target": [_target(t) for t in found]} for code, found in rows.items()],
    }
    if table.unmapped == "pass":
        group["unmapped"] = {"mode": "provided"}
    elif table.unmapped == "fixed" and table.fixed is not None:
        group["unmapped"] = {"mode": "fixed", "code": table.fixed.code}
    return group


def _target(target: Target) -> Resource:
    """R4 wants a comment wherever the target says less than, or not just what, the code says (cmd-1)."""
    comment = {"comment": NOT_THE_SAME} if target.equivalence in {"narrower", "inexact"} else {}
    return {"code": target.code, "equivalence": target.equivalence, **comment}


def translated(table: Table, system: str, code: str) -> Resource:
    """What the table makes of one code, as `$translate` answers."""
    found = table.find(system, code)
    matches = []
    if found is not None:
        matches = [
            {
                "name": "match",
                "part": [
                    {"name": "equivalence", "valueCode": found.equivalence},
                    {"name": "concept", "valueCoding": found.coding()},
                    {"name": "source", "valueUri": URL + table.name},
                ],
            }
        ]
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "result", "valueBoolean": found is not None}, *matches],
    }
