"""With Redis all processes keep one pace towards an EHR, by Redis's own clock; a killed one gives its place back in a few seconds.

The rules are those of `pace.State`, in one script each, so that they are looked at and changed in one step. While Redis is away each
process keeps the pace for itself.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import redis

from fhir_billing.ehr.pace import LOOK_AGAIN, Limits, LocalPace, Wait, is_answer, patiently, pause
from fhir_billing.logs import log

PREFIX: Final = "fhir-billing:pace:"
FORGOTTEN: Final = 7200
"""Seconds after which nothing is known of an EHR that is not asked."""
_log = log("ehr")

_NOW: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local state, held, begun = KEYS[1], KEYS[2], KEYS[3]
local function num(name) return tonumber(redis.call('HGET', state, name) or '0') end
"""
_BEGIN: Final = (
    _NOW
    + """
local place, at_once, per_second, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local not_before = num('not_before')
if now < not_before then return {'asked', not_before - now} end
local opens = num('opens')
if opens > 0 then
  local wait = math.max(opens, num('probe_ends'))
  if now < wait then return {'broken', wait - now} end
end
redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
if at_once > 0 and redis.call('ZCARD', held) >= at_once then return {'full', tonumber(ARGV[5])} end
if per_second > 0 then
  local oldest = redis.call('LINDEX', begun, per_second - 1)
  if oldest and now - tonumber(oldest) < 1000 then return {'fast', tonumber(oldest) + 1000 - now} end
  redis.call('LPUSH', begun, now)
  redis.call('LTRIM', begun, 0, per_second - 1)
  redis.call('EXPIRE', begun, 5)
end
redis.call('ZADD', held, now + lease, place)
redis.call('PEXPIRE', held, lease * 2)
if opens > 0 then redis.call('HSET', state, 'probe', place, 'probe_ends', now + lease) end
return {'', 0}
"""
)
_END: Final = (
    _NOW
    + """
local place, kind, after, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREM', held, place)
if after >= 0 then redis.call('HSET', state, 'not_before', math.max(num('not_before'), now + after * 1000)) end
if redis.call('HGET', state, 'probe') == place then redis.call('HDEL', state, 'probe', 'probe_ends') end
if kind == 'answer' then
  redis.call('HDEL', state, 'failures', 'trips', 'opens')
elseif kind == 'failure' then
  local failures = redis.call('HINCRBY', state, 'failures', 1)
  if most > 0 and failures >= most and now >= num('opens') then
    local trips = num('trips')
    local pauses = cjson.decode(ARGV[5])
    redis.call('HSET', state, 'opens', now + pauses[math.min(trips + 1, #pauses)], 'trips', trips + 1)
  end
end
redis.call('EXPIRE', state, tonumber(ARGV[6]))
return 0
"""
)
_KEEP: Final = (
    _NOW
    + """
local lease = tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', held, 'XX', now + lease, ARGV[i]) end
redis.call('PEXPIRE', held, lease * 2)
return 0
"""
)


class RedisPace:
    """The pace of all processes that share a Redis, for one tenant's EHR."""

    def __init__(
        self,
        url: str,
        tenant: str,
        ehr: str,
        limits: Limits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._limits, self._sleep, self._chance = limits, sleep, chance
        name = f"{PREFIX}{tenant}:{{{hashlib.sha256(ehr.encode()).hexdigest()[:24]}}}"
        self._keys = [name, f"{name}:held", f"{name}:begun"]
        self._begin, self._end, self._keep = (self._redis.register_script(text) for text in (_BEGIN, _END, _KEEP))
        self._alone = LocalPace(limits, sleep=sleep, chance=chance)
        self._places: set[str] = set()
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Let the connections go."""
        self._closed.set()
        self._redis.close()

    def begin(self) -> str:
        """A place among those of all processes."""
        place = uuid.uuid4().hex
        limits = self._limits
        lease = int(limits.lease * 1000)
        words: list[str | int] = [place, limits.at_once, limits.per_second, lease, int(LOOK_AGAIN * 1000)]

        def attempt() -> Wait | None:
            why, ms = self._begin(keys=self._keys, args=words)
            return Wait(why.decode(), int(ms) / 1000) if why else None

        try:
            patiently(attempt, self._sleep)
        except redis.RedisError as error:
            _log.warning("the pace is kept by each process alone", error=type(error).__name__)
            return f"alone:{self._alone.begin()}"
        with self._lock:
            self._places.add(place)
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep_places, name="pace", daemon=True)
                self._keeper.start()
        return place

    def end(self, place: str, status: int, after: int | None = None) -> None:
        """Give it back, and tell the others what the EHR said."""
        if place.startswith("alone:"):
            self._alone.end(place.removeprefix("alone:"), status, after)
            return
        with self._lock:
            self._places.discard(place)
        kind = "slower" if status == 429 else "answer" if is_answer(status) else "failure"
        chance = self._chance()
        pauses = [int(pause(self._limits, trips, chance) * 1000) for trips in range(12)]
        words: list[str | int] = [
            place,
            kind,
            -1 if after is None else after,
            self._limits.failures,
            str(pauses),
            FORGOTTEN,
        ]
        try:
            self._end(keys=self._keys, args=words)
        except redis.RedisError as error:
            _log.warning("the others do not hear how it went", error=type(error).__name__)

    def _keep_places(self) -> None:
        """While this process lives its places are its own, however slow the EHR is."""
        while not self._closed.wait(self._limits.lease / 3):
            with self._lock:
                places = list(self._places)
            if not places:
                continue
            try:
                self._keep(keys=self._keys, args=[int(self._limits.lease * 1000), *places])
            except redis.RedisError as error:
                _log.warning("a place may be lost", error=type(error).__name__)
