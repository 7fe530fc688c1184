"""A worker killed with -9 at any point loses nothing and does nothing twice, with Redis and without.

The visits are in the inbox before the first worker starts. Workers are started and killed at seeded random moments until
enough have died; one last worker finishes. Then every visit is accounted for, each claim has left once, each envelope lies at
the channel once, the book sums to zero, and the inbox worked again gives the same book.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from fhir_billing.cycle.records import Kind
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.text import dumps
from fhir_billing.store.schema import migrate
from tests.e2e.charts import many_visits
from tests.e2e.story import ROOT, Story

VISITS = int(os.environ.get("CAMPAIGN_VISITS", "24"))
KILLS = int(os.environ.get("CAMPAIGN_KILLS", "8"))


def start(story: Story, redis_url: str, **more: str) -> subprocess.Popen[bytes]:
    """One worker process on the story's store."""
    settings = story.wiring.settings
    environment = {
        **os.environ,
        "FHIR_BILLING_DATABASE": settings.database,
        "FHIR_BILLING_CHANNELS": str(settings.channels),
        "FHIR_BILLING_SCENARIO": str(settings.scenario),
        "FHIR_BILLING_SITE": settings.site,
        "FHIR_BILLING_BEAT_SECONDS": "0.05",
        "REDIS_URL": redis_url,
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "fhir_billing", "worker"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def waiting(story: Story) -> int:
    """What still has to be worked or sent."""
    return sum(story.wiring.store.waiting_counts().values())


def worked(story: Story) -> int:
    """How many messages have been worked."""
    return sum(1 for _ in story.wiring.store.worked_messages())


def settled(story: Story, visits: int) -> bool:
    """Whether every claim has its answer."""
    claims = story.claims()
    return (
        len(claims) == visits
        and all(c.state in {State.PAID, State.CLOSED, State.DENIED} for c in claims.values())
        and not waiting(story)
    )


@pytest.mark.parametrize("engine", ["in process", "redis"])
@pytest.mark.parametrize("seed", [1])
def test_a_worker_killed_at_random_points_loses_and_doubles_nothing(
    engine: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    redis_url = request.getfixturevalue("redis_url") if engine == "redis" else ""
    chance = random.Random(seed)
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-04")
    visits = many_visits(VISITS)
    died = interrupted = 0
    deadline = time.monotonic() + 60 + 12 * KILLS
    while died < KILLS and time.monotonic() < deadline:
        for encounter, resources in visits[died * VISITS // KILLS : (died + 1) * VISITS // KILLS]:
            body = dumps({"encounter": encounter, "found_by": "hook", "resources": resources})
            story.wiring.store.keep(Kind.VISIT, encounter, body, at=story.clock.now(), channel="ehr", name=encounter)
        before = worked(story)
        process = start(story, redis_url)
        while worked(story) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.12))  # it is in the middle of a beat now
        process.send_signal(signal.SIGKILL)
        process.wait()
        died += 1
        interrupted += not settled(story, died * VISITS // KILLS)
    last = start(story, redis_url)
    while not settled(story, VISITS) and time.monotonic() < deadline:
        time.sleep(0.3)
    last.send_signal(signal.SIGTERM)
    last.wait(timeout=20)

    assert died == KILLS
    assert interrupted > KILLS // 2, "most kills must hit unfinished work"
    claims = story.claims()
    assert len(claims) == VISITS
    assert Counter(c.attempt for c in claims.values()) == {1: VISITS}
    assert settled(story, VISITS)
    with story.wiring.store.begin() as book:
        assert len(book.visits()) == VISITS
        numbers = Counter(n for e in book.envelopes() for ns in e.sets.values() for n in ns)
        payments = Counter((p.claim, p.status) for p in book.payments())
    assert set(numbers.values()) == {1}
    assert set(payments.values()) == {1}
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def test_two_workers_at_once_share_the_work_and_repeat_none(tmp_path: Path) -> None:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-04")
    for encounter, resources in many_visits(VISITS):
        body = dumps({"encounter": encounter, "found_by": "hook", "resources": resources})
        story.wiring.store.keep(Kind.VISIT, encounter, body, at=story.clock.now(), channel="ehr", name=encounter)
    pair = [start(story, ""), start(story, "")]
    deadline = time.monotonic() + 90
    while not settled(story, VISITS) and time.monotonic() < deadline:
        time.sleep(0.3)
    for process in pair:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    claims = story.claims()
    assert settled(story, VISITS), json.dumps({n: c.state for n, c in claims.items()})
    assert Counter(c.attempt for c in claims.values()) == {1: VISITS}
    assert story.replay_is_equal(tmp_path)


def test_a_store_that_is_not_migrated_is_named_with_its_fix(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fhir_billing", "ledger", "--json"],
        env={**os.environ, "FHIR_BILLING_DATABASE": str(tmp_path / "nothing.db")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "migrate" in done.stderr
    assert "Traceback" not in done.stderr
    migrate(f"sqlite:///{tmp_path / 'nothing.db'}")
