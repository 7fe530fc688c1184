"""How closed visits are found: each way is one file here, any mix of them may run, and all ring the same doorbell.

A trigger says which visit changed and in which version; the visit itself is always read from the EHR again. What two
triggers find is one doorbell, for its key is (visit, version).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from fhir_billing.cycle.ports import Trigger
from fhir_billing.domain.errors import SiteConfig
from fhir_billing.ehr.client import FhirClient


class NoSuchTrigger(SiteConfig):
    """A trigger that has no file here."""

    code = "no-such-trigger"


def known() -> list[str]:
    """The triggers that have a file here."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def made(names: Sequence[str], client: FhirClient) -> list[Trigger]:
    """The triggers of these names, each made by `make(client)` of its file. Raises NoSuchTrigger."""
    found: list[Trigger] = []
    for name in names:
        if name not in known():
            raise NoSuchTrigger(f"there is no trigger called {name!r}", fix=f"use some of {', '.join(known())}")
        found.append(importlib.import_module(f"{__name__}.{name.replace('-', '_')}").make(client))
    return found
