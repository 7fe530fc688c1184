"""What the other side cannot take now is tried again: when it asks for it, or twice as late each time."""

from __future__ import annotations

from datetime import timedelta

from fhir_billing.domain.errors import BillingError, RateLimited

LONGEST_WAIT = timedelta(minutes=15)


def wait_for(attempts: int, error: BillingError) -> timedelta:
    """How long to wait before the next try: what the other side asks for, else twice as long each time."""
    if isinstance(error, RateLimited):
        return timedelta(seconds=error.retry_after)
    return min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_WAIT)
