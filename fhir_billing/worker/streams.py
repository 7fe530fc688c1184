"""With Redis the same steps run as tasks on Redis Streams, in any number of worker processes.

Redis only carries the news that something waits; the inbox and outbox tables are the book. Losing Redis, or a worker
killed in the middle, loses nothing: the next beat finds the same rows.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from streaq import Worker

from fhir_billing.wiring import Wiring, wire
from fhir_billing.worker import beat


def make_worker(wiring: Wiring | None = None) -> Worker[None]:
    """A streaq worker whose tasks are the steps of the beat."""
    wired = wiring or wire()
    worker: Worker[None] = Worker(redis_url=wired.settings.redis_url, concurrency=2, idle_timeout=timedelta(seconds=5))

    @worker.task(name="beat", timeout=timedelta(seconds=120))
    async def beat_once() -> int:
        return await asyncio.to_thread(beat.beat, wired)

    @worker.cron("* * * * * * *", name="tick", timeout=timedelta(seconds=120))
    async def tick() -> int:
        return await asyncio.to_thread(beat.beat, wired)

    @worker.cron("* * * * *", name="ring", timeout=timedelta(seconds=120))
    async def ring() -> int:
        return await asyncio.to_thread(beat.ring, wired)

    @worker.cron("0 * * * *", name="chase", timeout=timedelta(seconds=120))
    async def chase() -> int:
        return await asyncio.to_thread(beat.chase, wired)

    return worker
