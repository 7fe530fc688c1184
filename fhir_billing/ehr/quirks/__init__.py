"""Quirks: one pure file for each vendor, found by its name, turns what that EHR says into US Core R4; plain R4 needs none.

A file holds `normalise(resource) -> resource`, and may hold `whole(resources, encounter) -> resources` where one resource
cannot be judged without the others. What a quirk does not know it leaves alone: the mapping then says what is missing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fhir_billing.domain.errors import MappingInvalid

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Quirk:
    """How one vendor's resources become plain R4. Called with one resource, it gives that one."""

    normalise: Callable[[Resource], Resource]
    whole: Callable[[list[Resource], str], list[Resource]] | None = None

    def __call__(self, resource: Resource) -> Resource:
        """One resource, in plain R4."""
        return self.normalise(resource)

    def visit(self, resources: Iterable[Resource], encounter: str) -> list[Resource]:
        """All resources of a visit (`Encounter/ID`), in plain R4."""
        found = [self.normalise(resource) for resource in resources]
        return self.whole(found, encounter) if self.whole else found


def known() -> list[str]:
    """The vendors that have a file here."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def named(vendor: str) -> Quirk:
    """The quirk of a vendor; raises MappingInvalid when there is none of that name."""
    if vendor not in known():
        raise MappingInvalid(f"there is no quirk file called {vendor!r}", fix=f"use one of {', '.join(known())}")
    module = importlib.import_module(f"{__name__}.{vendor}")
    return Quirk(module.normalise, getattr(module, "whole", None))
