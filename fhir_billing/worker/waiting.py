"""What the other side cannot take now is tried again: when it asks for it, or twice as late each time.

A little is added by chance, so that what failed together does not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from fhir_billing.domain.errors import BillingError, RateLimited

LONGEST_WAIT = timedelta(minutes=15)


def wait_for(attempts: int, error: BillingError, *, chance: Callable[[], float] = random.random) -> timedelta:
    """How long to wait before the next try: at least what the other side asks for, else twice as long each time."""
    if isinstance(error, RateLimited):
        asked = timedelta(seconds=error.retry_after)
    else:
        asked = min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_WAIT)
    return asked * (1 + chance() / 4)
