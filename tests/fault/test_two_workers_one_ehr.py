"""Two workers share a book and an EHR that fails now and then: each visit is billed once, and the chart holds each of ours once."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cycle.ports import Sighting
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.fhir.task import STATUS
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.worker import ringing
from tests.e2e import charts
from tests.e2e.story import Story
from tests.fault import ehrs
from tests.fault.fault_proxy import FaultProxy
from tests.fault.test_kill_nine import settled, start

VISITS = 12
FAULTY = 6.0
"""Seconds until the EHR is kind."""
KINDS = ("Task", "Claim", "ClaimResponse", "ExplanationOfBenefit")


def named(settings: EhrSettings) -> dict[str, str]:
    """The EHR as a worker's environment names it."""
    return {
        "FHIR_BILLING_EHR_URL": settings.url,
        "FHIR_BILLING_EHR_CLIENT_ID": settings.client_id,
        "FHIR_BILLING_EHR_KEY": str(settings.key),
        "FHIR_BILLING_EHR_KEY_ID": settings.key_id,
        "FHIR_BILLING_EHR_TOKEN_URL": settings.token_url,
        "FHIR_BILLING_EHR_SCOPES": settings.scopes,
        "FHIR_BILLING_EHR_PER_SECOND": "200",
        "FHIR_BILLING_POLL_SECONDS": "1",
    }


def lately(visits: list[tuple[str, list[dict[str, Any]]]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The same visits a few days ago: workers have the real clock, and a payer's limit for filing runs by it."""
    day = (datetime.now(UTC).date() - timedelta(days=3)).isoformat()
    return [(name, loads(dumps(resources).replace(b"2026-03-02", day.encode()))) for name, resources in visits]


@pytest.fixture
def ehr(tmp_path: Path) -> Iterator[ehrs.OwnEhr]:
    """An EHR of this test's own."""
    made = ehrs.made("sekmet", tmp_path / "peer")
    yield made
    made.stop()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("engine", ["sqlite", "postgres and redis"])
def test_two_workers_bill_each_visit_once_and_write_nothing_twice(
    engine: str, ehr: ehrs.OwnEhr, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    several = engine != "sqlite"
    redis_url = request.getfixturevalue("redis_url") if several else ""
    database = request.getfixturevalue("fresh_postgres_url") if several else f"sqlite:///{tmp_path / 'book.db'}"
    chart, proxy = ehr.chart(), FaultProxy(ehr.origin, seed=11, rate=0.1)
    settings = replace(ehr.settings, url=ehr.settings.url.replace(ehr.origin, proxy.url))
    through = connect(settings)[0]
    story = Story(folder=tmp_path, database=database, scenario="pays", day="2026-03-04", ehr=(through, through))
    visits = lately(charts.many_visits(VISITS))
    ehrs.put(chart, charts.clinic())
    pair = [start(story, redis_url, **named(settings)) for _ in range(2)]
    try:
        for encounter, resources in visits:
            ehrs.put(chart, resources[len(charts.clinic()) :])
            for version in ("1", "2"):  # rung for as often as two web processes would
                ringing.rang(story.wiring, Sighting(encounter=encounter, version=version), found_by="hook")
        begun = time.monotonic()
        while not settled(story, VISITS) and time.monotonic() - begun < 120:
            time.sleep(0.3)
            if time.monotonic() - begun > FAULTY:
                proxy.be_kind()
    finally:
        for process in pair:
            process.send_signal(signal.SIGTERM)
        for process in pair:
            process.wait(timeout=20)
    claims = story.claims()
    assert settled(story, VISITS), [Counter(c.state for c in claims.values()), story.wiring.store.waiting_counts()]
    assert Counter(c.attempt for c in claims.values()) == {1: VISITS}
    with story.wiring.store.begin() as book:
        numbers = Counter(n for e in book.envelopes() for ns in e.sets.values() for n in ns)
    assert numbers == Counter(dict.fromkeys(claims, 1))
    for kind in KINDS:
        assert ehrs.written(chart, kind) == Counter(dict.fromkeys(claims, 1)), f"{kind}: each once"
    said = {
        t["identifier"][0]["value"]: t["businessStatus"]["coding"][0]["code"]
        for t in chart.search("Task", {"_count": "200"})
    }
    assert said == {number: STATUS[claim.state][1] for number, claim in claims.items()}
    assert sum(n for fault, n in proxy.done.items() if fault != "none"), "nothing failed: the run proves nothing"
    assert story.replay_is_equal(tmp_path)
    proxy.close()
