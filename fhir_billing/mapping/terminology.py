"""A code means something only within its system, and a bill speaks other systems than a chart.

Tables say how the one becomes the other; a code that no table knows is a finding, never a guess. Systems have aliases:
that is a table too. Tables of one name from several files are put together, a site's row replaces the shared one.
Spec: FHIR R4 ConceptMap equivalence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fhir_billing.domain.errors import MappingInvalid

Coding: TypeAlias = dict[str, Any]

EQUIVALENCES = frozenset(
    {"equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact", "relatedto"}
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a code becomes."""

    system: str
    code: str
    equivalence: str = "equivalent"
    where: str = ""
    """File of the row."""

    def coding(self) -> Coding:
        """As a FHIR Coding."""
        return {"system": self.system, "code": self.code} if self.system else {"code": self.code}


@dataclass(slots=True)
class Table:
    """One concept table. `rows` by (system, code); `bare` by code alone, for elements that carry no system."""

    name: str
    unmapped: str = "finding"
    fixed: Target | None = None
    rows: dict[tuple[str, str], Target] = field(default_factory=dict)
    bare: dict[str, Target] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)
    """Systems that the table leads to: a code that is already in one of them needs no row."""

    def find(self, system: str, code: str) -> Target | None:
        """What a code becomes; None when the table does not know it."""
        found = self.rows.get((system, code)) if system else self.bare.get(code)
        if found is not None:
            return found
        if self.unmapped == "pass":
            return Target(system, code)
        return self.fixed if self.unmapped == "fixed" else None


class Systems:
    """The names and aliases of code systems."""

    def __init__(self, rows: Mapping[str, Iterable[str]]) -> None:
        self.by_name = {name: list(uris) for name, uris in rows.items()}
        self.canonical = {uri: uris[0] for uris in self.by_name.values() for uri in uris}

    def uri(self, name_or_uri: str) -> str:
        """The URI that we write for a name or an alias."""
        if name_or_uri in self.by_name:
            return self.by_name[name_or_uri][0]
        return self.canonical.get(name_or_uri, name_or_uri)


class Terminology:
    """All tables of a site."""

    def __init__(self, systems: Systems) -> None:
        self.systems = systems
        self.tables: dict[str, Table] = {}

    def add(self, document: Mapping[str, Any], where: str, *, replaces: bool = False) -> None:
        """Take in a concepts file; a site's file replaces rows of the shared ones."""
        name = str(document["concepts"])
        table = self.tables.setdefault(name, Table(name))
        unmapped = document.get("unmapped", "finding")
        if unmapped not in {"finding", "fixed", "pass"}:
            raise MappingInvalid(f"{where}: unmapped is {unmapped!r}", fix="use finding, fixed or pass")
        target_system = self.systems.uri(str(document.get("to", "")))
        source_systems = [self.systems.uri(s) for s in _listed(document.get("from", ""))]
        table.unmapped = unmapped
        table.targets.add(target_system)
        if unmapped == "fixed":
            table.fixed = Target(target_system, str(document["fixed"]), where=where)
        mine: dict[str, str] = {}
        for row in document.get("rows") or ():
            source, target = self._row(row, where)
            if mine.setdefault(source, target.code) != target.code:
                raise MappingInvalid(f"{where}: {source} stands twice with different targets", fix="keep one row")
            for system in source_systems:
                self._put(table, system, source, Target(target_system, *target_rest(target), where), replaces, where)

    def _row(self, row: Any, where: str) -> tuple[str, Target]:
        if not isinstance(row, list) or not 2 <= len(row) <= 4 or not all(isinstance(cell, str) for cell in row):
            raise MappingInvalid(
                f"{where}: the row {row!r} is not two to four quoted strings", fix='write ["code", "target"]'
            )
        equivalence = row[2] if len(row) > 2 else "equivalent"
        if equivalence not in EQUIVALENCES:
            raise MappingInvalid(
                f"{where}: {equivalence!r} is no equivalence", fix=f"use one of {', '.join(sorted(EQUIVALENCES))}"
            )
        return row[0], Target("", row[1], equivalence)

    @staticmethod
    def _put(table: Table, system: str, source: str, target: Target, replaces: bool, where: str) -> None:
        before = table.rows.get((system, source))
        if before is not None and not replaces and (before.code, before.system) != (target.code, target.system):
            raise MappingInvalid(
                f"{where}: {source} is already mapped to {before.code} in {before.where}", fix="keep one row"
            )
        table.rows[system, source] = target
        table.bare[source] = target

    def billing(self, concept: Mapping[str, Any] | None, name: str, *, bare: bool = False) -> Coding | None:
        """The billing code of a CodeableConcept: one that it carries already, else by the table; None when there is none.

        A code without a system means nothing, unless `bare` says that the element itself fixes the system.
        """
        codings = (concept or {}).get("coding") or ()
        table = self.tables.get(name)
        if table is None:
            return None
        canonical = self.systems.canonical
        for coding in codings:
            system = canonical.get(coding.get("system", ""), "")
            if system and system in table.targets and coding.get("code"):
                return {"system": system, "code": coding["code"]}
        for coding in codings:
            system = coding.get("system", "")
            if not system and not bare:
                continue
            found = table.find(canonical.get(system, system), coding.get("code", ""))
            if found is not None:
                return found.coding()
        return None

    def code(self, concept: Mapping[str, Any] | None, name: str) -> str:
        """The target code of a Coding or CodeableConcept; empty when there is none."""
        if not concept or not ("coding" in concept or isinstance(concept.get("code"), str)):
            return ""
        found = self.billing(concept if "coding" in concept else {"coding": [concept]}, name, bare=True)
        return str(found["code"]) if found else ""

    def bare(self, code: str, name: str) -> str:
        """The target of a code that has no system, such as Patient.gender."""
        table = self.tables.get(name)
        found = table.find("", code) if table else None
        return found.code if found else ""


def target_rest(target: Target) -> tuple[str, str]:
    """Code and equivalence."""
    return target.code, target.equivalence


def _listed(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
