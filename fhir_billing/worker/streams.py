"""With Redis the same steps run as tasks on Redis Streams, in any number of worker processes.

Redis only carries the news that something waits; the inbox and outbox tables are the book. Losing Redis, or a worker
killed in the middle, loses nothing: the next beat finds the same rows.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from streaq import Worker

from fhir_billing.wiring import Wiring, wire
from fhir_billing.worker import beat
from fhir_billing.worker.nightly import nightly


def make_worker(wiring: Wiring | None = None) -> Worker[None]:
    """A streaq worker whose tasks are the steps of the beat."""
    wired = wiring or wire()
    worker: Worker[None] = Worker(redis_url=wired.settings.redis_url, concurrency=2, idle_timeout=timedelta(seconds=5))

    # Not unique: the lock that makes a task unique outlives a worker that was killed, and would stop the beat for
    # as long as its timeout. Two beats at once share the work by the store's own locks. A tick that waited is stale.
    every: dict[str, Any] = {"unique": False, "max_tries": None, "max_schedule_drift": 5, "ttl": 5, "silent": True}

    @worker.cron("* * * * * * *", name="tick", timeout=timedelta(seconds=120), **every)
    async def tick() -> int:
        return await asyncio.to_thread(beat.beat, wired)

    @worker.cron("* * * * *", name="ring", timeout=timedelta(seconds=120), **every)
    async def ring() -> int:
        return await asyncio.to_thread(beat.ring, wired)

    @worker.cron("0 * * * *", name="chase", timeout=timedelta(seconds=120), **every)
    async def chase() -> int:
        await asyncio.to_thread(beat.subscribe, wired)
        return await asyncio.to_thread(beat.chase, wired)

    @worker.cron("* * * * *", name="nightly", timeout=timedelta(hours=1), **every)
    async def compare() -> int:
        return await asyncio.to_thread(nightly, wired)

    beat.subscribe(wired)
    return worker
