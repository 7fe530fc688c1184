"""What no foreign server here does is proved against an EHR of our own: $events, a websocket, an export with faults, a sweep."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cycle import conformance
from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.cycle.records import Outcome
from fhir_billing.demo.server import Server
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.ehr.triggers import bulk
from fhir_billing.worker import beat, listening, ringing, topics
from fhir_billing.worker.subscribing import CHECKED, subscribe
from smart_app.standing import standing
from tests.contract.stand_in_ehr import StandIn, stand_in
from tests.e2e.story import Story

SECRET = "only-the-ehr-knows"


class Ward:
    """An installation beside the stand-in; `read` is what was read of it, in order."""

    def __init__(self, folder: Path, ehr: StandIn, port: int) -> None:
        self.ehr = ehr
        self.reader = connect(EhrSettings(url=ehr.base))[0]
        self.story = Story(
            folder=folder, database=f"sqlite:///{folder / 'book.db'}", scenario="pays", day="2026-03-02",
            ehr=(self.reader, self.reader),
        )  # fmt: skip
        self.story.clock.time = datetime.now(UTC)
        self.wiring = self.story.wiring
        self.wiring.settings.hook_secret = SECRET
        self.wiring.settings.public_url = f"http://127.0.0.1:{port}"

    def look_by(self, names: str) -> None:
        object.__setattr__(self.reader, "looks", tuple(names.split(",")))
        self.wiring.settings.ehr_triggers = names

    def round(self) -> None:
        beat.answer_doorbells(self.wiring)
        beat.answer_doorbells(self.wiring)
        beat.work(self.wiring)

    def look(self) -> int:
        found = ringing.ring(self.wiring)
        self.round()
        return found

    def found(self) -> dict[str, str]:
        """Who found each visit that was read."""
        with self.wiring.store.looking() as book:
            return {one.encounter.partition("/")[2]: one.found_by for one in book.visits()}

    def topic(self) -> str:
        """Follow the topic; the subscription's id, once it rings."""
        self.look_by("topic")
        subscribe(self.wiring)
        [held] = topics.held(self.wiring)
        until(lambda: self.ehr.subscriptions[held.id]["status"] == "active")
        self.round()
        ringing.ring(self.wiring)
        return held.id

    def exported(self) -> list[int]:
        """Look until the export is over; how many were found at each look."""
        counts = []
        for _ in range(40):
            counts.append(self.look())
            if not json.loads(self.wiring.store.cursor("ehr:bulk"))["status"]:
                return counts
            self.story.clock.time += timedelta(seconds=8)
        raise AssertionError("the export is never over")


def until(what: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with stand_in() as ehr:
        made = Ward(tmp_path, ehr, port)
        with Server(made.wiring, port):
            yield made


def says(ward: Ward, way: str) -> str:
    """What the desk says of a way."""
    found = standing(ward.wiring, way)
    return found.say or (found.at.isoformat() if found.at else "")


# ---- topics


def test_the_desk_says_when_a_topic_was_heard_and_that_it_is_in_error(ward: Ward) -> None:
    assert says(ward, "topic") == "the EHR holds no subscription"
    which = ward.topic()
    heard = ward.story.clock.time
    ward.story.clock.time = heard + timedelta(minutes=2, seconds=1)
    assert says(ward, "topic") == "heard 2 minutes ago"
    ward.wiring.store.set_cursor(f"{topics.HEARD}{which}", "")
    assert says(ward, "topic") == "never heard"
    ward.ehr.subscriptions[which]["status"] = "error"
    ringing.ring(ward.wiring)
    assert says(ward, "topic") == "in error; all was well 2 minutes ago"


def test_the_desk_says_up_to_when_an_export_has_brought_everything(ward: Ward) -> None:
    ward.look_by("bulk")
    ward.ehr.close("a")
    ringing.ring(ward.wiring)
    assert says(ward, "bulk") == "an export is under way"
    ward.exported()
    assert datetime.fromisoformat(says(ward, "bulk")).tzinfo is not None


def test_a_gap_in_the_numbers_is_filled_by_events_and_by_nothing_else(ward: Ward) -> None:
    which = ward.topic()
    ward.ehr.loses = 2
    for name in ("a", "b", "c"):
        ward.ehr.close(name)
    ward.round()
    assert ward.found() == {"c": "topic"}
    ward.ehr.asked.clear()
    assert ward.look() == 2
    assert ward.found() == {"a": "topic", "b": "topic", "c": "topic"}
    asked = [path for method, path, _ in ward.ehr.asked if "/Subscription/" in path]
    assert asked == [f"/fhir/Subscription/{which}/$events?eventsSinceNumber=1&eventsUntilNumber=2"]
    assert ward.look() == 0, "what is filled is not asked for again"


def test_a_gap_is_filled_by_a_query_where_the_ehr_tells_of_no_events(ward: Ward) -> None:
    ward.topic()
    ward.ehr.has_events, ward.ehr.loses = False, 1
    for name in ("a", "b"):
        ward.ehr.close(name)
    ward.round()
    ward.look()
    assert ward.found() == {"a": "topic", "b": "topic"}


def test_a_last_event_that_was_lost_is_found_by_the_heartbeat_s_count(ward: Ward) -> None:
    which = ward.topic()
    ward.ehr.loses = 1
    ward.ehr.close("a")
    ward.look()
    assert ward.found() == {}
    ward.ehr.send(which, "heartbeat", [])
    ward.look()
    assert ward.found() == {"a": "topic"}


def test_a_silence_of_two_heartbeats_makes_us_ask_and_no_more_often_than_that(ward: Ward) -> None:
    ward.topic()
    ward.ehr.loses = 1
    ward.ehr.close("a")
    ward.story.clock.time += timedelta(seconds=119)
    ward.look()
    assert ward.found() == {}
    ward.story.clock.time += timedelta(seconds=5)
    ward.look()
    assert ward.found() == {"a": "topic"}
    ward.ehr.asked.clear()
    ward.look()
    assert not [path for _, path, _ in ward.ehr.asked if path.endswith("$status")]


@pytest.mark.parametrize("fate", ["error", "off", "gone"])
def test_a_subscription_in_error_off_or_gone_is_made_anew_and_nothing_is_missed_between(ward: Ward, fate: str) -> None:
    which = ward.topic()
    if fate == "gone":
        del ward.ehr.subscriptions[which]
    else:
        ward.ehr.subscriptions[which]["status"] = fate
    ward.ehr.close("a")
    ward.story.clock.time += timedelta(minutes=5)
    ward.look()
    assert ward.found() == {"a": "topic"}
    [held] = topics.held(ward.wiring)
    until(lambda: ward.ehr.subscriptions[held.id]["status"] == "active")
    ward.ehr.close("b")
    ward.look()
    ward.look()
    assert ward.found() == {"a": "topic", "b": "topic"}


def test_events_that_come_twice_and_in_any_order_are_read_once_in_each_version(ward: Ward) -> None:
    which = ward.topic()
    ward.ehr.loses = 3
    for name in ("a", "b", "c"):
        ward.ehr.close(name)
    for numbers in ([3], [1, 2], [2], [3, 1]):
        ward.ehr.send(which, "event-notification", numbers)
    ward.round()
    assert ward.found() == {"a": "topic", "b": "topic", "c": "topic"}
    assert ward.look() == 0


def test_several_visits_in_one_notification_all_ring(ward: Ward) -> None:
    which = ward.topic()
    ward.ehr.loses = 3
    for name in ("a", "b", "c"):
        ward.ehr.close(name)
    ward.ehr.send(which, "event-notification", [1, 2, 3])
    ward.round()
    assert set(ward.found()) == {"a", "b", "c"}


# ---- websocket


def test_what_comes_down_a_websocket_rings_and_a_broken_line_is_opened_again(ward: Ward) -> None:
    works = Interaction(key="websocket", group="", what="", found=Found.WORKS)
    run = Conformance(url=ward.ehr.base, at=datetime.now(UTC), interactions=(works,), triggers=("websocket",))
    ward.wiring.store.set_cursor(CHECKED, conformance.dump(run))
    ward.look_by("websocket")
    subscribe(ward.wiring)
    [held] = [one for one in topics.held(ward.wiring) if one.way == "websocket"]
    listener = listening.Listener(ward.wiring, lambda: None, first_wait=0.05)
    listener.start()
    try:
        until(lambda: ward.ehr.bound.get(held.id))
        ward.ehr.close("a")
        until(lambda: len(ward.wiring.store.doorbells_by("websocket")) >= 2)
        ward.round()
        assert ward.found() == {"a": "websocket"}
        ward.ehr.cut()
        until(lambda: not ward.ehr.bound.get(held.id))
        ward.ehr.close("b")
        until(lambda: ward.ehr.bound.get(held.id))
        ward.ehr.close("c")
        until(lambda: any(b'"3"' in bell.body for bell in ward.wiring.store.doorbells_by("websocket")))
        ward.round()
        ward.look()
        assert ward.found() == {"a": "websocket", "b": "websocket", "c": "websocket"}
    finally:
        listener.stop()


def test_a_websocket_that_a_check_finds_later_is_listened_to_without_a_new_start(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "IDLE", 0.05)
    ward.wiring.settings.ehr_url = ward.ehr.base
    with listening.listening(ward.wiring):
        works = Interaction(key="websocket", group="", what="", found=Found.WORKS)
        run = Conformance(url=ward.ehr.base, at=datetime.now(UTC), interactions=(works,), triggers=("websocket",))
        ward.wiring.store.set_cursor(CHECKED, conformance.dump(run))
        subscribe(ward.wiring)
        [held] = [one for one in topics.held(ward.wiring) if one.way == "websocket"]
        until(lambda: ward.ehr.bound.get(held.id))


def test_a_websocket_is_not_asked_for_where_nobody_has_seen_it_work(ward: Ward) -> None:
    ward.look_by("websocket,topic")
    subscribe(ward.wiring)
    assert [one.way for one in topics.held(ward.wiring)] == ["topic"]


def test_a_line_at_another_server_is_not_opened(ward: Ward) -> None:
    ward.look_by("topic")
    which = ward.topic()
    ward.ehr.socket = "ws://169.254.169.254/line"
    from fhir_billing.domain.errors import EhrBrokeContract

    with pytest.raises(EhrBrokeContract, match="another server"):
        next(iter(ward.reader.listen(which, lambda: False)))


# ---- export


def test_an_export_is_asked_about_when_it_says_and_is_put_away(ward: Ward) -> None:
    for name in ("a", "b"):
        ward.ehr.close(name)
    ward.look_by("bulk=G1")
    ward.look()
    assert ward.ehr.kicked == [
        {"path": "/Group/G1/$export", "_type": "Encounter", "_outputFormat": "application/fhir+ndjson"}
    ]
    ward.look()
    asked = len(ward.ehr.asked)
    ward.story.clock.time += timedelta(seconds=5)
    ward.look()
    assert len(ward.ehr.asked) == asked, "it said: after seven seconds"
    ward.story.clock.time += timedelta(seconds=3)
    ward.exported()
    assert ward.found() == {"a": "bulk", "b": "bulk"}
    assert ward.ehr.put_away == ["job1"]
    ward.story.clock.time += timedelta(days=1, minutes=1)
    ward.look()
    assert ward.ehr.kicked[1]["_since"]


def test_an_export_that_was_killed_goes_on_at_its_line(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        ward.ehr.close(f"v{number}")
    monkeypatch.setattr(bulk, "MOST_LINES", 2)
    ward.look_by("bulk")
    counts = [one for one in ward.exported() if one]
    assert counts == [2, 2, 1]
    assert len(ward.found()) == 5
    assert len(ward.ehr.kicked) == 1, "one export, however often somebody was killed"


def test_a_worker_that_was_killed_while_it_rang_sees_the_same_again(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        ward.ehr.close(f"v{number}")
    ward.ehr.waits = 0
    ward.look_by("bulk")
    ward.look()
    rang, rung = ringing.rang, 0

    def killed(*words: Any, **more: Any) -> bool:
        nonlocal rung
        rung += 1
        if rung == 3:
            raise KeyboardInterrupt
        return rang(*words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(ringing, "rang", killed)
        with pytest.raises(KeyboardInterrupt):
            ringing.ring(ward.wiring)
    assert ward.ehr.put_away == [], "the files stay until every line rings"
    ward.look()
    assert len(ward.found()) == 5
    ward.look()
    assert ward.ehr.put_away == ["job1"]
    assert len(ward.ehr.kicked) == 1


def test_a_job_at_another_server_is_not_asked_for(ward: Ward) -> None:
    with stand_in() as other:
        ward.ehr.base = other.base
        ward.look_by("bulk,poll")
        ward.look()
        assert other.asked == []
        assert ward.wiring.store.cursor("ehr:bulk") == ""


def test_bad_lines_are_kept_for_a_person_and_take_nothing_with_them(ward: Ward) -> None:
    ward.ehr.bad_lines = [
        "{broken",
        '{"resourceType":"Patient","id":"x"}',
        '{"resourceType":"Encounter","id":"../x"}',
        "[1]",
    ]
    for name in ("a", "b"):
        ward.ehr.close(name)
    ward.look_by("bulk")
    ward.exported()
    assert set(ward.found()) == {"a", "b"}
    kept = [bell for bell in ward.wiring.store.doorbells_by("bulk") if bell.who == "unread"]
    assert {bell.outcome for bell in kept} == {Outcome.QUARANTINED}
    assert sorted(bell.findings[0]["key"] for bell in kept) == ["bulk-error", *["bulk-line"] * 4]  # type: ignore[type-var]
    assert b"{broken" in {bell.body for bell in kept}


def test_a_visit_that_an_export_calls_deleted_rings_only_where_it_is_known(ward: Ward) -> None:
    ward.ehr.close("a")
    ward.look_by("bulk")
    ward.exported()
    ward.ehr.deleted = ["a", "never-seen"]
    ward.story.clock.time += timedelta(days=1, minutes=1)
    ward.exported()
    keys = {bell.key for bell in ward.wiring.store.doorbells_by("bulk")}
    assert "Encounter/a:deleted" in keys
    assert "Encounter/never-seen:deleted" not in keys


def test_a_file_at_another_server_is_left_there_and_said_and_tried_again_whole(ward: Ward) -> None:
    with stand_in() as other:
        ward.ehr.close("a")
        ward.ehr.elsewhere = f"{other.base}/Encounter/a"
        ward.look_by("bulk")
        ward.exported()
        assert other.asked == []
        assert ward.found() == {"a": "bulk"}
        assert json.loads(ward.wiring.store.cursor("ehr:bulk"))["since"] == ""
        [kept] = [
            b for b in ward.wiring.store.doorbells_by("bulk") if b.findings and b.findings[0]["key"] == "bulk-elsewhere"
        ]
        assert "another server" in kept.say


def test_a_file_at_a_server_that_the_site_names_is_fetched_without_our_token(ward: Ward) -> None:
    with stand_in() as other:
        other.close("far")
        ward.ehr.close("far")
        ward.ehr.visits.clear()
        ward.ehr.visits["x"] = {**other.visits["far"], "id": "x", "status": "in-progress"}
        ward.ehr.elsewhere, ward.ehr.needs_token = f"{other.base}/Encounter/far", False
        ward.reader.client._token = Token()
        ward.look_by(f"bulk=@{other.base.split('/')[2]}")
        for _ in range(6):
            ringing.ring(ward.wiring)
            ward.story.clock.time += timedelta(seconds=8)
        assert [(method, token) for method, _, token in other.asked] == [("GET", "")]
        assert "Encounter/far" in {bell.key.rpartition(":")[0] for bell in ward.wiring.store.doorbells_by("bulk")}
        assert {token for _, path, token in ward.ehr.asked if "/jobs/" in path} == {"Bearer ours"}


class Token:
    """A token of ours."""

    granted: frozenset[str] = frozenset()

    def value(self) -> str:
        return "ours"

    def forget(self, *_: object) -> None:
        pass


# ---- the others


def test_an_ehr_that_insists_on_a_status_is_polled_for_what_is_finished(ward: Ward) -> None:
    ward.ehr.wants_a_status = True
    ward.look_by("poll")
    for name in ("a", "b"):
        ward.ehr.close(name)
        ward.look()
    assert ward.found() == {"a": "poll", "b": "poll"}


def test_where_the_schedule_cannot_be_asked_for_the_patients_of_the_book_are(ward: Ward) -> None:
    ward.ehr.close("a")
    ward.look_by("poll")
    ward.look()
    with ward.wiring.store.begin() as book:
        visit = book.visit("Encounter/a")
        assert visit is not None
        book.save_visit(replace(visit, patient="Patient/p"))
    ward.ehr.refuses = {"Appointment", "Encounter"}
    ward.ehr.close("b")
    ward.ehr.close("c", patient="somebody-else")
    ward.look_by("sweep")
    ward.look()
    assert ward.found() == {"a": "poll", "b": "sweep"}


def test_a_visit_that_a_clinician_is_about_to_close_is_asked_for_again_three_times(ward: Ward) -> None:
    from fhir_billing.cycle.ports import Sighting

    ward.ehr.close("a", "in-progress")
    ward.ehr.close("b", "in-progress")
    for name in ("a", "b"):
        ringing.rang(ward.wiring, Sighting(encounter=f"Encounter/{name}"), found_by="cds-hook")
    ward.round()
    ward.story.clock.time += timedelta(seconds=59)
    assert ward.wiring.store.doorbells(ward.wiring.clock.now()) == []
    ward.ehr.close("a")
    for minutes in (1, 5, 30):
        ward.story.clock.time += timedelta(minutes=minutes)
        ward.round()
    assert ward.found() == {"a": "cds-hook"}
    assert {bell.outcome for bell in ward.wiring.store.doorbells_by("cds-hook")} == {Outcome.DONE}
