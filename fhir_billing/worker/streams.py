"""With Redis the same steps run as tasks on Redis Streams, in any number of worker processes.

Redis only carries the news that something waits; the inbox and outbox tables are the book. Losing Redis, or a worker
killed in the middle, loses nothing: the next beat finds the same rows. Each second some worker looks whether a step is due;
the first one takes it for all of them, so that several poll the EHR no more often than one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import redis
from streaq import Worker

from fhir_billing.logs import log, of_tenant
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat
from fhir_billing.worker.nightly import nightly

_log = log("worker")
# Not unique: the lock that makes a task unique outlives a worker that was killed, and would stop the beat for
# as long as its timeout. Two beats at once share the work by the store's own locks. A tick that waited is stale.
EACH_SECOND: Final = "* * * * * * *"
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


class Turns:
    """Whose turn it is to do a step, among all workers of one book."""

    def __init__(self, wired: Wiring) -> None:
        settings = wired.settings
        self._book = hashlib.sha256(settings.database_url.encode()).hexdigest()[:16]
        self._redis: Any = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5)

    def mine(self, step: str, seconds: float) -> bool:
        """True for one worker, once in so many seconds. Half a second less, so that the tick of that second finds it ended."""
        key = f"fhir-billing:turn:{self._book}:{step}"
        return bool(self._redis.set(key, b"", px=max(round(seconds * 1000) - 500, 1), nx=True))


def _beating(worker: Worker[None], wired: Wiring) -> None:
    """One tenant's tasks: what fails in one is nothing to another."""
    of = f":{wired.settings.tenant}" if wired.settings.tenant else ""
    settings, turns = wired.settings, Turns(wired)

    def each(name: str, seconds: float, limit: timedelta, *steps: Callable[[Wiring], int]) -> None:
        @worker.cron(EACH_SECOND, name=f"{name}{of}", timeout=limit, **EVERY)
        async def task() -> int:
            if seconds > 1 and not await asyncio.to_thread(turns.mine, name, seconds):
                return 0
            return sum([await _step(step, wired) for step in steps])

    each("tick", settings.beat_seconds, timedelta(seconds=120), beat.beat)
    each("ring", settings.poll_seconds, timedelta(seconds=120), beat.ring)
    each("chase", settings.chase_seconds, timedelta(seconds=120), beat.subscribe, beat.chase)
    each("nightly", settings.poll_seconds, timedelta(hours=1), nightly)

    try:
        beat.subscribe(wired)
    except Exception as error:
        _log.warning("the EHR is asked to ring later", tenant=wired.settings.tenant, error=type(error).__name__)
