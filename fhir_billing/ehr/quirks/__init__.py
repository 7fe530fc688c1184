"""Quirks: one pure file for each vendor, `normalise(resource) -> resource`, found by its name; plain R4 needs none."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeAlias

from fhir_billing.domain.errors import MappingInvalid

Quirk: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def known() -> list[str]:
    """The vendors that have a file here."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def named(vendor: str) -> Quirk:
    """The quirk of a vendor; raises MappingInvalid when there is none of that name."""
    if vendor not in known():
        raise MappingInvalid(f"there is no quirk file called {vendor!r}", fix=f"use one of {', '.join(known())}")
    found: Quirk = importlib.import_module(f"{__name__}.{vendor}").normalise
    return found
