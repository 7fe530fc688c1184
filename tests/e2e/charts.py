"""The demo's charts as test input: one patient's resources by given name, and many visits made from one."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

from fhir_billing.fhir.text import dumps, loads

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "charts"
Resource = dict[str, Any]


@cache
def _bundle(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def bundle(name: str) -> list[Resource]:
    """The resources of one file."""
    return [entry["resource"] for entry in loads(_bundle(name))["entry"]]


def clinic() -> list[Resource]:
    """Organizations, places, practitioners, payers."""
    return bundle("clinic.json")


def chart(name: str) -> list[Resource]:
    """One patient's chart with the clinic's resources beside it."""
    return [*clinic(), *bundle(f"{name}.json")]


def encounter_of(resources: list[Resource]) -> str:
    """The reference of the only visit in a chart."""
    (visit,) = [r for r in resources if r["resourceType"] == "Encounter"]
    return f"Encounter/{visit['id']}"


def finished(resources: list[Resource]) -> list[Resource]:
    """The same chart with its visit closed."""
    done = copy.deepcopy(resources)
    for resource in done:
        if resource["resourceType"] == "Encounter":
            resource["status"] = "finished"
    return done


def many_visits(count: int, name: str = "ada") -> list[tuple[str, list[Resource]]]:
    """Closed visits of as many patients, each a copy of one chart under ids of its own."""
    visits = []
    shared = clinic()
    own = finished(bundle(f"{name}.json"))
    for number in range(count):
        text = dumps(own).decode()
        for resource in own:
            kind, name_ = resource["resourceType"], resource["id"]
            text = text.replace(f'"{kind}/{name_}"', f'"{kind}/{name_}-{number}"')
            text = text.replace(f'"id":"{name_}"', f'"id":"{name_}-{number}"')
        copied: list[Resource] = loads(text.encode())
        visits.append((encounter_of(copied), [*shared, *copied]))
    return visits


def entries(name: str) -> list[Resource]:
    """The entries of one file, as a batch takes them."""
    found: list[Resource] = loads(_bundle(f"{name}.json"))["entry"]
    return found
