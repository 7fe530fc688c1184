"""A payer's habits, one file each: `prepare` reads what a scenario's rule says, and returns what decides a claim.

The file's name is the behaviour's name in a scenario, with hyphens.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from fhir_billing.simulator.parameters import Parameters, wrong
from fhir_billing.simulator.verdict import Decide


@cache
def names() -> tuple[str, ...]:
    """Every behaviour there is."""
    return tuple(sorted(one.name.replace("_", "-") for one in pkgutil.iter_modules(__path__)))


def prepared(name: str, parameters: Parameters, at: str) -> Decide:
    """A behaviour with its parameters read; refuses a name or a parameter that nobody knows."""
    if name not in names():
        raise wrong(at, f"there is no behaviour {name!r}", f"write one of {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    decide: Decide = module.prepare(parameters)
    parameters.done()
    return decide
