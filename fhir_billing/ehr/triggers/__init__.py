"""How closed visits are found: each way is one file here, any mix of them may run, and all ring the same doorbell.

A trigger says which visit changed and in which version; the visit itself is always read from the EHR again. What two
triggers find is one doorbell, for its key is (visit, version). A name may carry a word for its trigger: `bulk=GROUP`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Trigger
from fhir_billing.domain.errors import SiteConfig
from fhir_billing.ehr.client import FhirClient

RING_BY_THEMSELVES = frozenset({"hook", "hl7v2", "cds-hook"})
"""Ways that a conformance run names too, and that nobody looks at: somebody rings."""


class NoSuchTrigger(SiteConfig):
    """A trigger that has no file here."""

    code = "no-such-trigger"


def known() -> list[str]:
    """The triggers that have a file here."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def check(names: Sequence[str]) -> None:
    """Raises NoSuchTrigger for a name that nothing here answers to."""
    choice = sorted({*known(), *RING_BY_THEMSELVES})
    for said in names:
        if (name := said.partition("=")[0]) not in choice:
            raise NoSuchTrigger(f"there is no trigger called {name!r}", fix=f"use some of {', '.join(choice)}")


def made(names: Sequence[str], client: FhirClient, remembered: Remembered) -> list[Trigger]:
    """The triggers of these names, each made by `make(client, remembered, word)` of its file. Raises NoSuchTrigger."""
    check(names)
    found: list[Trigger] = []
    for said in names:
        name, _, word = said.partition("=")
        if name in RING_BY_THEMSELVES:
            continue
        file = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
        found.append(file.make(client, remembered, word))
    return found
