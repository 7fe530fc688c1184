"""A clinician closes a visit in a real EHR; its own hook rings at our door, and the bill is drafted from what is read again."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fhir_billing.cycle.records import Outcome
from fhir_billing.demo.server import Server
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import subscriptions
from fhir_billing.ehr.connect import Ehr, EhrSettings, connect
from fhir_billing.worker import beat
from tests.e2e import charts
from tests.e2e.servers import settings_of
from tests.e2e.story import Story

SECRET = "only-the-ehr-knows"


@pytest.fixture(params=["sekmet", "ci_ehr"])
def ehr(request: pytest.FixtureRequest) -> Ehr:
    """One EHR rings by PUT endpoint/Type/id, the other by POST to the endpoint."""
    found: Any = request.getfixturevalue(request.param)
    if request.param == "sekmet":
        return connect(EhrSettings(url=found.url))[0]
    return connect(settings_of(found))[0]


@pytest.fixture
def story(tmp_path: Path, ehr: Ehr) -> Iterator[tuple[Story, str]]:
    story = Story(
        folder=tmp_path,
        database=f"sqlite:///{tmp_path / 'book.db'}",
        scenario="story-s1",
        day="2026-03-02",
        ehr=(ehr, ehr),
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    story.wiring.settings.hook_secret = SECRET
    with Server(story.wiring, port):
        yield story, f"http://127.0.0.1:{port}/hooks/ehr"
    ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries("dee")})


def test_the_hook_of_a_real_ehr_makes_a_claim(story: tuple[Story, str], ehr: Ehr) -> None:
    book, endpoint = story
    for name in ("clinic", "dee"):
        ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    subscriptions.subscribe(ehr.client, endpoint, SECRET)
    visit = ehr.client.read("Encounter/dee-visit")
    ehr.client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    deadline = time.monotonic() + 15
    while not book.wiring.store.doorbells_by("hook") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert book.wiring.store.doorbells_by("hook"), "the EHR's own hook rang"
    beat.answer_doorbells(book.wiring)
    beat.work(book.wiring)
    claim = book.only_claim()
    assert claim.state is State.READY
    assert claim.charge == 15000
    assert claim.payer == "EXM"


def test_a_stranger_at_the_door_is_refused_and_kept_in_sight(story: tuple[Story, str]) -> None:
    book, endpoint = story
    for headers in ({}, {"X-Hook-Secret": "guessed"}):
        answer = httpx2.put(f"{endpoint}/Encounter/dee-visit", headers=headers)
        assert answer.status_code == 401
    kept = book.wiring.store.doorbells_by("hook")
    assert {(bell.who, bell.outcome) for bell in kept} == {("stranger", Outcome.QUARANTINED)}
    assert beat.answer_doorbells(book.wiring) == 0, "nothing is read because a stranger says so"
    assert book.claims() == {}
