"""An EHR may say any time of a visit, or none: every visit is read, polling goes on, and no cursor stands where no clock is yet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.cycle.ports import Looked
from fhir_billing.cycle.records import Outcome
from fhir_billing.domain.errors import EhrUnavailable, NotNow
from fhir_billing.ehr import quirks
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import UserEhr
from fhir_billing.ehr.subscriptions import poll
from fhir_billing.ehr.triggers.bulk import Bulk
from fhir_billing.fhir.instant import instant
from fhir_billing.worker import beat, ringing, topics
from tests.contract.stand_in_ehr import StandIn
from tests.e2e.story import Story

BASE = "https://ehr.example/fhir"
NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
GOOD = "2026-11-24T10:00:00+00:00"
ODD = ["garbage", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "2027-11-24T10:00:00Z", "2026-11-24T10:01:00",
       "2026-13-45", "2026-11-24", "0001-01-01T00:00:00Z", ["x"], 7]  # fmt: skip


def wire(ehr: StandIn) -> FhirClient:
    def answered(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/fhir")
        body = json.loads(request.content) if request.content else None
        status, said, headers = ehr.answer(request.method, path, parse_qsl(request.url.query.decode()), body)
        if isinstance(said, bytes):
            return httpx2.Response(status, content=iter([said]), headers=headers)
        return httpx2.Response(status, json=said, headers=headers)

    return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(answered)))


def says(body: Any) -> FhirClient:
    return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))))


def visit(name: str, at: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": name, "status": "finished", "meta": {"lastUpdated": at, **more}}


def looked(cursor: str, *times: Any) -> Looked:
    rows = [visit(f"e{number}", at, versionId="1") for number, at in enumerate(times)]
    return poll(says({"resourceType": "Bundle", "entry": [{"resource": row} for row in rows]}), cursor, NOW)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("cursor", ["", GOOD])
def test_a_time_that_cannot_be_right_moves_no_cursor_and_its_visit_rings_and_one_that_cannot_be_read_is_shown(
    odd: Any, cursor: str
) -> None:
    found = looked(cursor, "2026-11-24T10:05:00Z", odd)
    assert [one.encounter for one in found.sightings] == ["Encounter/e0", "Encounter/e1"]
    assert found.cursor == "2026-11-24T10:05:00+00:00"
    assert len(found.findings) == (instant(odd) is None), "a clock that is early would else show every visit"
    assert all("Encounter/e1" in finding["say"] for finding in found.findings)
    assert looked(cursor, odd).cursor == cursor


@pytest.mark.parametrize("bad", ["garbage", "9999-12-31T23:59:59-12:00", "2027-11-24T10:00:00Z", "2026-11-24T10:01:00"])
def test_a_cursor_that_cannot_be_right_is_mended(bad: str) -> None:
    found = looked(bad, "2026-11-24T10:05:00Z")
    assert len(found.sightings) == 1
    assert found.cursor == "2026-11-24T10:05:00+00:00"


def test_a_leap_second_is_a_second_and_a_clock_that_is_a_little_ahead_is_held_back_to_ours() -> None:
    assert looked(GOOD, "2026-11-24T10:05:60Z").cursor == "2026-11-24T10:06:00+00:00"
    ahead = looked(GOOD, "2026-11-24T10:33:00Z")
    assert (ahead.cursor, ahead.findings) == (NOW.isoformat(), ())


TIMES = st.sampled_from(ODD) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.text(max_size=12)


@given(TIMES.map(str), st.lists(TIMES, max_size=5))
def test_whatever_times_an_ehr_says_every_visit_rings_and_the_cursor_is_none_or_an_instant_that_was(
    cursor: str, times: list[Any]
) -> None:
    found = looked(cursor, *times)
    assert len(found.sightings) == len(times)
    at = instant(found.cursor)
    assert found.cursor == "" if at is None else at <= NOW


class Ward:
    def __init__(self, folder: Path, *looks: str) -> None:
        self.ehr = StandIn(base=BASE, waits=0)
        self.reader = UserEhr(wire(self.ehr), quirks.named("plain"), looks)
        database = f"sqlite:///{folder / 'book.db'}"
        self.story = Story(
            folder=folder, database=database, scenario="pays", day="2026-11-24", ehr=(self.reader, self.reader)
        )
        self.story.clock.time = datetime.now(UTC)
        self.wiring = self.story.wiring

    def look(self) -> int:
        self.story.clock.time += timedelta(seconds=20)
        return ringing.ring(self.wiring)


@pytest.mark.parametrize("way", ["poll", "bulk"])
def test_a_visit_without_meta_is_one_doorbell_until_it_changes(tmp_path: Path, way: str) -> None:
    ward = Ward(tmp_path, way)
    ward.ehr.visits["a"] = {"resourceType": "Encounter", "id": "a", "status": "finished", "subject": {}}

    def look() -> int:
        ward.story.clock.time += timedelta(days=1, minutes=1)
        return sum(ward.look() for _ in range(4))

    assert [look(), look()] == [1, 0]
    ward.ehr.visits["a"]["reasonCode"] = [{"text": "another"}]
    assert [look(), look()] == [1, 0]


def test_a_visit_with_an_odd_time_is_read_and_shown_once(tmp_path: Path) -> None:
    ward = Ward(tmp_path, "poll")
    ward.ehr.close("a")
    ward.ehr.close("b")
    ward.ehr.visits["b"]["meta"]["lastUpdated"] = "2026-13-45T00:00:00Z"
    assert [ward.look(), ward.look()] == [2, 0]
    beat.answer_doorbells(ward.wiring)
    beat.work(ward.wiring)
    with ward.wiring.store.looking() as book:
        assert book.visit("Encounter/b") is not None
    shown = [bell for bell in ward.wiring.store.doorbells_by("poll") if bell.who == "unread"]
    assert [bell.outcome for bell in shown] == [Outcome.QUARANTINED]
    ward.ehr.close("c")
    assert ward.look() == 1, "what comes later is found all the same"


class Breaks:
    name = "breaks"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def look(self, cursor: str, now: datetime) -> Looked:
        raise self.error


def test_a_trigger_that_breaks_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward(tmp_path, "poll")
    ward.ehr.close("a")
    ways: list[Any] = [Breaks(ValueError("x")), *ward.reader.triggers(topics.Memory(ward.wiring))]
    monkeypatch.setattr(UserEhr, "triggers", lambda *_: ways)
    assert ward.look() == 1
    ways[1:] = [Breaks(TypeError("x"))]
    with pytest.raises(NotNow, match="TypeError"):
        ward.look()
    ways[:] = [Breaks(EhrUnavailable("it sleeps"))]
    with pytest.raises(EhrUnavailable):
        ward.look()


# ---- export


@pytest.mark.parametrize("said", ["garbage", 7, ["x"], None, "9999-12-31T23:59:59Z", "2026-11-24T10:05:00"])
def test_an_export_that_does_not_say_its_time_is_followed_from_when_it_was_asked_for(
    said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ehr = StandIn(base=BASE, waits=0)
    job = ehr.job

    def lies(method: str, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        status, body, headers = job(method, parts)
        return status, {**body, "transactionTime": said} if isinstance(body, dict) else body, headers

    monkeypatch.setattr(ehr, "job", lies)
    trigger, cursor = Bulk(wire(ehr)), ""
    for minutes in (0, 10, 20, 60 * 25):
        cursor = trigger.look(cursor, NOW + timedelta(minutes=minutes)).cursor
    assert ehr.kicked[1]["_since"] == (NOW - timedelta(minutes=2)).isoformat()


def test_a_time_that_an_earlier_export_left_and_cannot_be_right_is_not_asked_with() -> None:
    ehr = StandIn(base=BASE)
    Bulk(wire(ehr)).look('{"since": "garbage"}', NOW)
    assert "_since" not in ehr.kicked[0]
