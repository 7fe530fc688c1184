"""An EHR asks at six moments whether billing has something to say; the answer is a few cards, and mostly none.

This module finds the hooks by folder and knows none by name. Pure: a call and a chart in, cards out.
Spec: CDS Hooks 2.0, https://cds-hooks.hl7.org/2.0/
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from fhir_billing.cds import hooks
from fhir_billing.cds.hook import Hook
from fhir_billing.domain.errors import ImpossibleState


@cache
def all_hooks() -> dict[str, Hook]:
    """Every hook that we answer, by the id in its address; two with one id stop the start."""
    found: dict[str, Hook] = {}
    for entry in pkgutil.iter_modules(hooks.__path__):
        hook = importlib.import_module(f"{hooks.__name__}.{entry.name}").HOOK
        if hook.id in found:
            raise ImpossibleState(f"cds/hooks/{entry.name}.py: the id {hook.id} is taken")
        found[hook.id] = hook
    return found
