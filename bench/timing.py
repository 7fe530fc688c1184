"""The median of some runs: one slow start or one busy neighbour must not decide."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable


def median(work: Callable[[], object], runs: int = 5) -> float:
    """Seconds of the middle run; what each run made is thrown away before the next begins."""
    work()
    taken = []
    for _ in range(runs):
        gc.collect()
        begun = time.perf_counter()
        made = work()
        taken.append(time.perf_counter() - begun)
        del made
    return statistics.median(taken)
