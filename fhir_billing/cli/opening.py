"""A command that needs the store says plainly when it is not there, and how to make it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_billing.domain.errors import BillingError
from fhir_billing.wiring import Wiring, wire


class Missing(SystemExit):
    """Exit 3: a store or service is missing."""


@contextmanager
def opened() -> Iterator[Wiring]:
    """The installation with its store open; exits 3 with the reason when there is none."""
    wiring = wire()
    try:
        _ = wiring.store
        _ = wiring.site
    except BillingError as error:
        print(f"fhir-billing: {error}", file=sys.stderr)
        raise Missing(3) from None
    yield wiring
