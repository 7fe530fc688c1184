"""A command that needs the store says plainly when it is not there, and how to make it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_billing.domain.errors import BillingError
from fhir_billing.wiring import Wiring, install, wire


class Missing(SystemExit):
    """Exit 3: a store or service is missing."""


@contextmanager
def opened() -> Iterator[Wiring]:
    """The installation with its store open; exits 3 with the reason when there is none."""
    wiring = wire()
    try:
        _ = wiring.store
        _ = wiring.site
        wiring.check_words()
    except BillingError as error:
        print(f"fhir-billing: {error}", file=sys.stderr)
        raise Missing(3) from None
    yield wiring


def all_opened() -> tuple[list[Wiring], int]:
    """Every tenant, or the one that is chosen, and 3 where one has no store; exits 3 where there is only that one."""
    found = install()
    wirings, code = [], 0
    for name in found.names:
        try:
            wirings.append(found[name])
            _ = found[name].store
            _ = found[name].site
            found[name].check_words()
        except Exception as error:
            if len(found.names) == 1 and not isinstance(error, BillingError):
                raise
            say = str(error) if isinstance(error, BillingError) else type(error).__name__
            print(f"fhir-billing: {name}{': ' if name else ''}{say}", file=sys.stderr)
            code = 3
    if not wirings or (code and len(found.names) == 1):
        raise Missing(3)
    return wirings, code
