"""Several workers that share a Redis do each step as often as the settings say, and no more often than one would."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from fhir_billing.worker.streams import Turns
from tests.contract.stand_in_ehr import StandIn, stand_in
from tests.e2e.story import Story
from tests.fault.test_kill_nine import start


def test_two_workers_poll_as_often_as_the_settings_say(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-04")
    polls: list[float] = []
    chart = StandIn.chart

    def counting(self: StandIn, parts: list[str], query: dict[str, str], since: list[str]) -> object:
        polls.append(time.monotonic())
        return chart(self, parts, query, since)

    monkeypatch.setattr(StandIn, "chart", counting)
    with stand_in() as ehr:
        pair = [start(story, redis_url, FHIR_BILLING_EHR_URL=ehr.base, FHIR_BILLING_POLL_SECONDS="3") for _ in range(2)]
        try:
            deadline = time.monotonic() + 60
            while len(polls) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            for process in pair:
                process.terminate()
                process.wait(timeout=20)
    gaps = [later - sooner for sooner, later in pairwise(polls)]
    assert len(gaps) >= 3, "they poll more often than once a minute"
    assert min(gaps) > 1, "one poll for both"


def test_a_turn_is_one_worker_s_until_its_time_is_over(tmp_path: Path, redis_url: str) -> None:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-04")
    story.wiring.settings.redis_url = redis_url
    one, other = Turns(story.wiring), Turns(story.wiring)
    assert one.mine("ring", 2)
    assert not other.mine("ring", 2)
    assert other.mine("chase", 2), "each step has turns of its own"
    time.sleep(1.6)
    assert other.mine("ring", 2)
