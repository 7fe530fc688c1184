"""What an EHR says of itself is read with patience: a statement that leaves things out, or writes them oddly, declares nothing.

Spec: FHIR R4 CapabilityStatement.rest.resource (interaction, searchParam, searchInclude, operation), rest.operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
TOPICS = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
_ACTS = {
    "search": "search-type",
}


def _rows(value: Any) -> list[Resource]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A CapabilityStatement, and the server's `.well-known/smart-configuration`."""

    body: Resource = field(default_factory=dict)
    smart: Resource = field(default_factory=dict)

    @property
    def software(self) -> str:
        """What it calls itself."""
        said = self.body.get("software")
        said = said if isinstance(said, dict) else {}
        return f"{said.get('name', '')} {said.get('version', '')}".strip()[:120]

    @property
    def fhir_version(self) -> str:
        """Such as 4.0.1."""
        return str(self.body.get("fhirVersion", ""))[:20]

    def declares(self, kind: str, act: str) -> bool | None:
        """Whether a type is declared with an interaction or an operation (`$create`); None when the statement is silent."""
        if not self.body:
            return None
        resources = self._resources()
        if not resources:
            return None
        found = next((row for row in resources if row.get("type") == kind), None)
        if found is None:
            return False
        if act.startswith("$"):
            return act.removeprefix("$") in {
                str(row.get("name", "")).lstrip("$") for row in _rows(found.get("operation"))
            }
        return _ACTS.get(act, act) in {row.get("code") for row in _rows(found.get("interaction"))}

    def searches_by(self, kind: str, name: str) -> bool | None:
        """Whether a search parameter is declared."""
        if not self._resources():
            return None
        found = next((row for row in self._resources() if row.get("type") == kind), {})
        return name in {row.get("name") for row in [*_rows(found.get("searchParam")), *self._every("searchParam")]}

    def includes(self) -> bool | None:
        """Whether `_include` and `_revinclude` are declared for visits."""
        found = next((row for row in self._resources() if row.get("type") == "Encounter"), {})
        lists = (found.get("searchInclude"), found.get("searchRevInclude"))
        return None if not any(lists) else all(isinstance(one, list) and one for one in lists)

    def interacts(self, code: str) -> bool | None:
        """Whether the whole system has an interaction: batch, transaction."""
        found = {row.get("code") for row in self._every("interaction")}
        return code in found if found else None

    def operates(self, name: str) -> bool | None:
        """Whether an operation is declared, for the system or for any type."""
        if not self.body:
            return None
        rows = [*self._every("operation"), *(op for row in self._resources() for op in _rows(row.get("operation")))]
        return name in {str(row.get("name", "")).lstrip("$") for row in rows}

    def extension(self, url: str) -> str:
        """The first value of an extension anywhere in the statement's rest part."""
        return next(iter(self.extensions(url)), "")

    def extensions(self, url: str) -> list[str]:
        """All values of an extension in the statement's rest part."""
        return [value for value in _extensions(self.body.get("rest"), url) if value]

    def _every(self, name: str) -> list[Resource]:
        return [row for rest in _rows(self.body.get("rest")) for row in _rows(rest.get(name))]

    def _resources(self) -> list[Resource]:
        return self._every("resource")


def _extensions(value: Any, url: str) -> Iterator[str]:
    if isinstance(value, list):
        for child in value:
            yield from _extensions(child, url)
    elif isinstance(value, dict):
        if value.get("url") == url:
            yield str(value.get("valueUri") or value.get("valueUrl") or value.get("valueCanonical") or "")
        for name, child in value.items():
            if name in {"extension", "resource"}:
                yield from _extensions(child, url)
