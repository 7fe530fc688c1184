"""Processes that share a Redis keep one pace towards an EHR: together they never ask for more than it bears."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import uuid
from email.utils import formatdate
from typing import Any

import httpx2
import pytest
import redis

from fhir_billing.domain.errors import EhrUnavailable, NotNow, RateLimited
from fhir_billing.ehr.answers import seconds
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.pace import Limits, LocalPace
from fhir_billing.ehr.pace_redis import PREFIX, RedisPace

EHR = "https://ehr.example/fhir"
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def tenant() -> str:
    return uuid.uuid4().hex


def ask(url: str, tenant: str, limits: Limits, most: int, counters: str) -> None:
    """What one process does: count how many are on their way, and when each began, by Redis's clock."""
    pace, server = RedisPace(url, tenant, EHR, limits), redis.Redis.from_url(url)
    done = 0
    while done < most:
        try:
            place = pace.begin()
        except NotNow:
            continue
        now: Any = server.time()
        server.rpush(f"{counters}:begun", now[0] * 1_000_000 + now[1])
        server.rpush(f"{counters}:at-once", int(str(server.incr(f"{counters}:now"))))
        time.sleep(0.01)
        server.decr(f"{counters}:now")
        pace.end(place, 200)
        done += 1
    pace.close()


def test_two_processes_together_never_ask_for_more_than_the_ehr_bears(redis_url: str, tenant: str) -> None:
    limits, counters = Limits(at_once=2, per_second=25), f"test:{tenant}"
    several = [processes.Process(target=ask, args=(redis_url, tenant, limits, 30, counters)) for _ in range(3)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
        assert one.exitcode == 0
    server: Any = redis.Redis.from_url(redis_url)
    assert max(map(int, server.lrange(f"{counters}:at-once", 0, -1))) == 2, "as many as may be, and no more"
    begun = sorted(map(int, server.lrange(f"{counters}:begun", 0, -1)))
    assert len(begun) == 90
    for first, later in zip(begun, begun[25:], strict=False):
        assert later - first > 900_000, "the 26th begins a second after the first; a begin is noted a moment after it"


def hold(url: str, tenant: str, limits: Limits, told: Any) -> None:
    RedisPace(url, tenant, EHR, limits).begin()
    told.put(os.getpid())
    time.sleep(60)


def test_a_killed_process_gives_its_place_back_and_a_slow_one_keeps_it(redis_url: str, tenant: str) -> None:
    limits = Limits(at_once=1, lease=0.9)
    told: Any = processes.Queue()
    other = processes.Process(target=hold, args=(redis_url, tenant, limits, told))
    other.start()
    pid = told.get(timeout=30)
    mine = RedisPace(redis_url, tenant, EHR, limits)
    with pytest.raises(RateLimited):
        mine.begin()  # it waits two seconds, and the other's lease is shorter
    os.kill(pid, signal.SIGKILL)
    other.join(10)
    mine.end(mine.begin(), 200)
    mine.close()


def test_one_hears_to_wait_and_all_wait(redis_url: str, tenant: str) -> None:
    one, other = (RedisPace(redis_url, tenant, EHR, Limits()) for _ in range(2))
    stranger = RedisPace(redis_url, f"{tenant}-b", EHR, Limits())
    one.end(one.begin(), 429, 7)
    with pytest.raises(RateLimited) as told:
        other.begin()
    assert told.value.retry_after == 7
    assert stranger.begin(), "another tenant's pace is its own"


def test_an_ehr_that_is_down_is_left_alone_by_all_and_one_probes(redis_url: str, tenant: str) -> None:
    limits = Limits(failures=3, first_pause=0.3)
    one, other = (RedisPace(redis_url, tenant, EHR, limits, chance=lambda: 0.0) for _ in range(2))
    for pace in (one, other, one):
        pace.end(pace.begin(), 503)
    with pytest.raises(EhrUnavailable, match="in a row"):
        other.begin()
    time.sleep(0.35)
    probe = other.begin()
    with pytest.raises(EhrUnavailable):
        one.begin()
    other.end(probe, 200)
    one.end(one.begin(), 200)


def test_while_redis_is_away_each_process_keeps_the_pace_alone() -> None:
    alone = RedisPace("redis://127.0.0.1:9", "t", EHR, Limits(per_second=0))
    alone.end(alone.begin(), 429, 9)
    with pytest.raises(RateLimited):
        alone.begin()


def test_the_keys_in_redis_carry_the_tenant(redis_url: str, tenant: str) -> None:
    RedisPace(redis_url, tenant, EHR, Limits()).begin()
    server: Any = redis.Redis.from_url(redis_url)
    assert list(server.scan_iter(f"{PREFIX}{tenant}:*"))
    assert not [name for name in server.scan_iter(f"{PREFIX}*") if b"ehr.example" in name]


def test_a_client_asks_at_its_pace_and_hears_at_once_that_it_must_wait() -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(429, headers={"retry-after": "40"})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = FhirClient(EHR, http, pace=LocalPace(Limits()))
    for _ in range(3):
        with pytest.raises(RateLimited) as told:
            client.read("Patient/p")
        assert told.value.retry_after in {39, 40}
    assert len(asked) == 1


def test_a_wait_may_be_a_date() -> None:
    assert 25 <= seconds(formatdate(time.time() + 30, usegmt=True)) <= 30
    assert seconds(formatdate(time.time() - 30, usegmt=True)) == 0
    assert seconds("Someday") == 60
