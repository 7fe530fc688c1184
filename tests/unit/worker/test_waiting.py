"""What waits comes back when it was told to or later, and not all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhir_billing.domain.errors import EhrUnavailable, RateLimited
from fhir_billing.worker.waiting import LONGEST_WAIT, wait_for


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_wait_that_is_asked_for_is_never_shortened(chance: float) -> None:
    waits = wait_for(3, RateLimited("slowly", retry_after=40), chance=lambda: chance)
    assert timedelta(seconds=40) <= waits <= timedelta(seconds=50)


def test_each_try_is_twice_as_late_to_a_limit_and_a_little_by_chance() -> None:
    down = EhrUnavailable("it is down")
    assert [wait_for(n, down, chance=lambda: 0.0).total_seconds() for n in range(5)] == [1, 2, 4, 8, 16]
    assert wait_for(60, down, chance=lambda: 0.0) == LONGEST_WAIT
    assert wait_for(4, down, chance=lambda: 1.0).total_seconds() == 20
