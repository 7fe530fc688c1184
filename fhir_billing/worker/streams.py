"""With Redis the same steps run as tasks on Redis Streams, in any number of worker processes.

Redis only carries the news that something waits; the inbox and outbox tables are the book. Losing Redis, or a worker
killed in the middle, loses nothing: the next beat finds the same rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from streaq import Worker

from fhir_billing.logs import log, of_tenant
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat
from fhir_billing.worker.nightly import nightly

_log = log("worker")
# Not unique: the lock that makes a task unique outlives a worker that was killed, and would stop the beat for
# as long as its timeout. Two beats at once share the work by the store's own locks. A tick that waited is stale.
EVERY: dict[str, Any] = {"unique": False, "max_tries": None, "max_schedule_drift": 5, "ttl": 5, "silent": True}


def make_worker(wirings: Sequence[Wiring]) -> Worker[None]:
    """A streaq worker whose tasks are the steps of each tenant's beat. Workers of other tenants have a queue of their own."""
    names = "-".join(wired.settings.tenant for wired in wirings)
    worker: Worker[None] = Worker(
        redis_url=wirings[0].settings.redis_url,
        queue_name=names or "default",
        concurrency=2 * len(wirings),
        idle_timeout=timedelta(seconds=5),
    )
    for wired in wirings:
        _beating(worker, wired)
    return worker


async def _step(step: Callable[[Wiring], int], wired: Wiring) -> int:
    with of_tenant(wired.settings.tenant):
        return await asyncio.to_thread(step, wired)


def _beating(worker: Worker[None], wired: Wiring) -> None:
    """One tenant's tasks: what fails in one is nothing to another."""
    of = f":{wired.settings.tenant}" if wired.settings.tenant else ""

    @worker.cron("* * * * * * *", name=f"tick{of}", timeout=timedelta(seconds=120), **EVERY)
    async def tick() -> int:
        return await _step(beat.beat, wired)

    @worker.cron("* * * * *", name=f"ring{of}", timeout=timedelta(seconds=120), **EVERY)
    async def ring() -> int:
        return await _step(beat.ring, wired)

    @worker.cron("0 * * * *", name=f"chase{of}", timeout=timedelta(seconds=120), **EVERY)
    async def chase() -> int:
        await _step(beat.subscribe, wired)
        return await _step(beat.chase, wired)

    @worker.cron("* * * * *", name=f"nightly{of}", timeout=timedelta(hours=1), **EVERY)
    async def compare() -> int:
        return await _step(nightly, wired)

    try:
        beat.subscribe(wired)
    except Exception as error:
        _log.warning("the EHR is asked to ring later", tenant=wired.settings.tenant, error=type(error).__name__)
