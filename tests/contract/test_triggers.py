"""A visit closes in an EHR nobody here wrote, and is found: by its hook, its topic, its export, by asking it; once, whoever saw it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fhir_billing.cycle.records import Kind, Message, VisitRecord
from fhir_billing.demo.server import Server
from fhir_billing.ehr.connect import Ehr, EhrSettings, connect
from fhir_billing.ehr.subscriptions import REASON
from fhir_billing.worker import beat, ringing, topics
from fhir_billing.worker.subscribing import subscribe
from tests.e2e import charts
from tests.e2e.servers import settings_of
from tests.e2e.story import Story

if TYPE_CHECKING:
    from tests.conftest import Sekmet

SECRET = "only-the-ehr-knows"


@dataclass
class House:
    """An installation that a real EHR can reach, and what the EHR's own people do."""

    story: Story
    ehr: Ehr
    counted: list[str]

    def look_by(self, *names: str) -> None:
        object.__setattr__(self.ehr, "looks", names)
        self.story.wiring.settings.ehr_triggers = ",".join(names)

    def close(self, name: str, status: str = "finished") -> None:
        visit = self.ehr.client.read(f"Encounter/{name}-visit")
        self.ehr.client.update({**visit, "status": status}, version=visit["meta"]["versionId"])

    def settle(self) -> None:
        beat.answer_doorbells(self.story.wiring)
        beat.answer_doorbells(self.story.wiring)
        beat.work(self.story.wiring)

    def heard(self, channel: str, seconds: float = 15) -> list[Message]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := self.story.wiring.store.doorbells_by(channel):
                return found
            time.sleep(0.05)
        raise AssertionError(f"nobody rang by {channel}")

    def visit(self, name: str) -> VisitRecord | None:
        with self.story.wiring.store.looking() as book:
            return book.visit(f"Encounter/{name}-visit")

    def found_by(self, name: str) -> str:
        visit = self.visit(name)
        return visit.found_by if visit else ""


def load(ehr: Ehr) -> None:
    for name in ("clinic", "ada", "bo", "cy", "dee"):
        ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})


def house(tmp_path: Path, settings: EhrSettings) -> Iterator[House]:
    ehr = connect(settings)[0]
    load(ehr)
    story = Story(
        folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-02", ehr=(ehr, ehr)
    )
    story.clock.time = datetime.now(UTC)
    counted: list[str] = []
    gather = type(ehr).gather

    def counting(self: Any, encounter: str) -> Any:
        counted.append(encounter)
        return gather(self, encounter)

    patched = pytest.MonkeyPatch()
    patched.setattr(type(ehr), "gather", counting)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    story.wiring.settings.hook_secret = SECRET
    story.wiring.settings.public_url = f"http://127.0.0.1:{port}"
    with Server(story.wiring, port):
        yield House(story, ehr, counted)
    for one in ehr.client.search("Subscription", {"_count": "100"}):
        if str((one.get("channel") or {}).get("endpoint", "")).endswith(f":{port}/hooks/ehr"):
            ehr.client.request("DELETE", f"Subscription/{one['id']}")
    patched.undo()
    load(ehr)


@pytest.fixture(params=["sekmet", "sekmet_smart", "ci_ehr"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    yield from house(tmp_path, settings_of(request.getfixturevalue(request.param)))


@pytest.fixture
def with_topics(sekmet: Sekmet, tmp_path: Path) -> Iterator[House]:
    yield from house(tmp_path, settings_of(sekmet))


def test_a_close_is_found_by_hook_by_whatever_way_the_ehr_rings(anywhere: House) -> None:
    anywhere.look_by("poll")
    assert subscribe(anywhere.story.wiring) == 1
    anywhere.close("ada")
    anywhere.heard("hook")
    anywhere.settle()
    assert anywhere.found_by("ada") == "hook"


def test_a_close_that_nobody_rang_for_is_found_by_poll(anywhere: House) -> None:
    anywhere.look_by("poll")
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    anywhere.close("bo")
    assert ringing.ring(anywhere.story.wiring) >= 1
    anywhere.settle()
    assert anywhere.found_by("bo") == "poll"


def test_what_became_of_a_known_visit_is_found_by_poll_and_of_an_unknown_one_is_no_news(anywhere: House) -> None:
    anywhere.look_by("poll")
    anywhere.close("ada")
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    before = anywhere.visit("ada")
    assert before is not None
    assert before.version
    anywhere.close("ada", "entered-in-error")
    anywhere.close("cy", "cancelled")
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    after = anywhere.visit("ada")
    assert after is not None
    assert after.outcome == "voided"
    assert anywhere.visit("cy") is None
    assert "Encounter/cy-visit" not in anywhere.counted


def test_two_ways_that_find_one_close_read_it_once_and_the_first_is_remembered(anywhere: House) -> None:
    anywhere.look_by("poll")
    subscribe(anywhere.story.wiring)
    anywhere.close("dee")
    anywhere.heard("hook")
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    assert anywhere.counted.count("Encounter/dee-visit") == 1
    assert anywhere.found_by("dee") == "hook"


def test_a_close_is_found_by_topic_after_a_handshake_that_is_recorded(with_topics: House) -> None:
    with_topics.look_by("poll", "topic")
    assert subscribe(with_topics.story.wiring) == 1
    (shook,) = with_topics.heard("topic")
    assert shook.name == "handshake"
    with_topics.settle()
    [held] = topics.held(with_topics.story.wiring)
    assert held.way == "topic"
    until_active(with_topics, held.id)
    with_topics.close("ada")
    until(lambda: len(with_topics.heard("topic")) > 1)
    with_topics.settle()
    assert with_topics.found_by("ada") == "topic"
    ringing.ring(with_topics.story.wiring)
    with_topics.settle()
    assert with_topics.found_by("ada") == "topic"
    [followed] = topics.Memory(with_topics.story.wiring).followed()
    assert followed.numbers.last == followed.count == 1


def until(what: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def until_active(house: House, which: str) -> None:
    until(lambda: bool(house.ehr.client.read(f"Subscription/{which}")["status"] == "active"))


def test_an_ehr_without_topics_is_asked_for_a_hook_instead(ci_ehr: dict[str, str], tmp_path: Path) -> None:
    for one in house(tmp_path, settings_of(ci_ehr)):
        one.look_by("topic", "poll")
        assert subscribe(one.story.wiring) == 1
        assert [held.way for held in topics.held(one.story.wiring)] == ["hook"]


def ringing_here(house: House) -> list[tuple[str, str]]:
    """What rings at our address: its criteria and status."""
    here = f"{house.story.wiring.settings.public_url}/hooks/ehr"
    found = house.ehr.client.search("Subscription", {"_count": "100"})
    rows = [one for one in found if (one.get("channel") or {}).get("endpoint") == here and one["status"] != "off"]
    return sorted((row["criteria"], row["reason"]) for row in rows)


def test_what_is_taken_out_of_the_settings_is_ended_at_the_ehr_and_nothing_of_anybody_else_s(
    with_topics: House,
) -> None:
    wiring, client = with_topics.story.wiring, with_topics.ehr.client
    with_topics.look_by("hook", "topic", "poll")
    assert subscribe(wiring) == 2
    [hook, topic] = [one.id for one in topics.held(wiring)]
    theirs = client.create({**client.read(f"Subscription/{hook}"), "reason": "somebody else's"})
    with_topics.look_by("topic", "poll")
    assert subscribe(wiring) == 1
    assert [one.id for one in topics.held(wiring)] == [topic]
    assert {reason for _, reason in ringing_here(with_topics)} == {REASON, "somebody else's"}
    assert len(ringing_here(with_topics)) == 2
    subscribe(wiring)
    assert len(ringing_here(with_topics)) == 2, "asked again, nothing changes"
    wiring.settings.hook_secret = ""
    assert subscribe(wiring) == 0
    assert topics.held(wiring) == []
    assert [reason for _, reason in ringing_here(with_topics)] == ["somebody else's"]
    assert client.read(f"Subscription/{theirs['id']}")["status"] != "off"


def test_what_rings_at_an_address_that_we_left_is_ended_there(anywhere: House) -> None:
    wiring, client = anywhere.story.wiring, anywhere.ehr.client
    anywhere.look_by("poll")
    subscribe(wiring)
    [old] = topics.held(wiring)
    here, wiring.settings.public_url = wiring.settings.public_url, "http://127.0.0.1:9"
    subscribe(wiring)
    [new] = topics.held(wiring)
    assert new.id != old.id
    wiring.settings.public_url = here
    assert ringing_here(anywhere) == []
    subscribe(wiring)
    ends = [
        one["channel"]["endpoint"] for one in client.search("Subscription", {"_count": "100"}) if one["status"] != "off"
    ]
    assert "http://127.0.0.1:9/hooks/ehr" not in ends


def test_hook_topic_and_poll_together_read_a_close_once(with_topics: House) -> None:
    wiring = with_topics.story.wiring
    with_topics.look_by("hook", "topic", "poll")
    assert subscribe(wiring) == 2
    [held] = [one for one in topics.held(wiring) if one.way == "topic"]
    until_active(with_topics, held.id)
    with_topics.settle()
    with_topics.close("dee")
    until(lambda: len(with_topics.heard("topic")) > 1)
    with_topics.heard("hook")
    ringing.ring(wiring)
    for _ in range(3):
        with_topics.settle()
    assert with_topics.counted.count("Encounter/dee-visit") == 1
    assert with_topics.found_by("dee") in {"hook", "topic"}


def test_a_heartbeat_says_that_the_ehr_is_there_and_fills_no_inbox(with_topics: House) -> None:
    from fhir_billing.ehr import topics as asked

    wiring = with_topics.story.wiring
    endpoint = f"{wiring.settings.public_url}/hooks/ehr"
    held = asked.subscribe(with_topics.ehr.client, endpoint, SECRET, heartbeat=1)
    topics.hold(wiring, [held])
    until_active(with_topics, held.id)
    [first] = topics.Memory(wiring).followed()
    until(lambda: topics.Memory(wiring).followed()[0].heard_at != first.heard_at, seconds=20)
    assert [bell.name for bell in wiring.store.doorbells_by("topic")] == ["handshake"]


def test_a_topic_event_that_was_lost_is_found_by_its_number(with_topics: House) -> None:
    """This EHR has no $events: what changed since all was well is looked through."""
    wiring = with_topics.story.wiring
    with_topics.look_by("topic")
    subscribe(wiring)
    [held] = topics.held(wiring)
    until_active(with_topics, held.id)
    with_topics.settle()
    ringing.ring(wiring)
    lost = [("bo", 1), ("cy", 2)]
    for name, number in lost:
        with_topics.close(name)
        until(lambda number=number: len(with_topics.heard("topic")) > number)  # type: ignore[misc]
    first = with_topics.story.wiring.store.doorbells_by("topic")[1]
    wiring.store.doorbell_done(first.id, "the test loses it")
    with_topics.settle()
    assert with_topics.found_by("bo") == ""
    assert with_topics.found_by("cy") == "topic"
    ringing.ring(wiring)
    with_topics.settle()
    assert with_topics.found_by("bo") == "topic"


def test_a_topic_subscription_that_the_ehr_gave_up_is_made_anew_after_a_silence(with_topics: House) -> None:
    wiring = with_topics.story.wiring
    with_topics.look_by("topic")
    subscribe(wiring)
    [held] = topics.held(wiring)
    until_active(with_topics, held.id)
    with_topics.settle()
    ringing.ring(wiring)
    asleep = with_topics.ehr.client.read(f"Subscription/{held.id}")
    with_topics.ehr.client.update({**asleep, "status": "off"}, version=asleep["meta"]["versionId"])
    with_topics.close("dee")
    with_topics.story.clock.time += timedelta(minutes=5)
    ringing.ring(wiring)
    with_topics.settle()
    assert with_topics.found_by("dee") == "topic", "what nobody told of is looked through"
    until_active(with_topics, held.id)


def test_a_topic_subscription_of_which_nothing_was_ever_heard_is_made_anew_too(with_topics: House) -> None:
    """The EHR's first handshake fails when nobody serves yet."""
    wiring = with_topics.story.wiring
    with_topics.look_by("topic")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wiring.settings.public_url = f"http://127.0.0.1:{port}"
    subscribe(wiring)
    [held] = topics.held(wiring)
    ringing.ring(wiring)
    until(lambda: bool(with_topics.ehr.client.read(f"Subscription/{held.id}")["status"] == "error"), seconds=30)
    with_topics.story.clock.time += timedelta(minutes=1)
    ringing.ring(wiring)
    with_topics.close("dee")
    with Server(wiring, port):
        with_topics.story.clock.time += timedelta(minutes=2)
        ringing.ring(wiring)
        [held] = topics.held(wiring)
        until_active(with_topics, held.id)
        with_topics.settle()
        assert with_topics.found_by("dee") == "topic", "what nobody told of is looked through"
    with_topics.ehr.client.request("DELETE", f"Subscription/{held.id}")


def test_a_storm_of_bells_for_one_visit_is_one_reading(anywhere: House) -> None:
    store, now = anywhere.story.wiring.store, anywhere.story.wiring.clock.now()
    anywhere.close("ada")
    for number in range(200):
        body = {"encounter": "Encounter/ada-visit", "version": "", "found_by": "hook"}
        store.keep(Kind.DOORBELL, f"storm:{number}", json.dumps(body).encode(), at=now, channel="hook")
    assert beat.answer_doorbells(anywhere.story.wiring) == 200
    assert anywhere.counted == ["Encounter/ada-visit"]
    assert {bell.outcome.value for bell in store.doorbells_by("hook")} == {"done"}


def test_who_rings_may_prove_it_by_a_signature_of_what_it_says(with_topics: House) -> None:
    import hashlib
    import hmac

    url = f"{with_topics.story.wiring.settings.public_url}/hooks/ehr"
    body = b'{"resourceType":"Encounter","id":"ada-visit","meta":{"versionId":"9"}}'
    sign = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert httpx2.post(url, content=body, headers={"X-Signature": sign}).status_code == 200
    assert httpx2.post(url, content=body, headers={"X-Hub-Signature-256": f"sha256={sign}"}).status_code == 200
    assert httpx2.post(url, content=body + b" ", headers={"X-Signature": sign}).status_code == 401
    assert httpx2.post(url, content=b"", headers={"X-Signature": ""}).status_code == 401
    with_topics.story.wiring.settings.hook_allow = "10.0.0.0/8"
    assert httpx2.post(url, content=body, headers={"X-Hook-Secret": SECRET}).status_code == 401
    with_topics.story.wiring.settings.hook_allow = "10.0.0.0/8, 127.0.0.1"
    assert httpx2.post(url, content=body, headers={"X-Hook-Secret": SECRET}).status_code == 200


def test_an_ehr_that_signs_what_it_sends_needs_no_secret_in_a_header(ci_ehr: dict[str, str], tmp_path: Path) -> None:
    """This one signs by itself, with the secret that stands in the subscription."""
    extension = "https://www.medplum.com/fhir/StructureDefinition/subscription-secret"
    for one in house(tmp_path, settings_of(ci_ehr)):
        one.ehr.client.create(
            {
                "resourceType": "Subscription", "status": "active", "reason": "a signed hook",
                "criteria": "Encounter?status=finished", "extension": [{"url": extension, "valueString": SECRET}],
                "channel": {"type": "rest-hook", "endpoint": f"{one.story.wiring.settings.public_url}/hooks/ehr"},
            }
        )  # fmt: skip
        one.close("ada")
        assert {bell.who for bell in one.heard("hook")} == {"hook"}
        one.settle()
        assert one.found_by("ada") == "hook"


def export(house: House, most: int = 30) -> int:
    """Look until the export is over, each time as after a kill: only the cursor is left."""
    count = 0
    for _ in range(most):
        count += ringing.ring(house.story.wiring)
        held = json.loads(house.story.wiring.store.cursor("ehr:bulk"))
        if not held["status"]:
            return count
        house.story.clock.time += timedelta(seconds=2)
        time.sleep(0.1)
    raise AssertionError("the export is never over")


@pytest.mark.parametrize("smart", [False, True])
def test_closed_visits_are_found_by_export_and_later_only_the_new_ones(
    smart: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name = "sekmet_smart" if smart else "sekmet"
    for one in house(tmp_path, settings_of(request.getfixturevalue(name))):
        one.look_by("bulk")
        one.close("ada")
        assert export(one) >= 1
        one.settle()
        assert one.found_by("ada") == "bulk"
        assert one.visit("bo") is None
        assert ringing.ring(one.story.wiring) == 0, "the next export is tomorrow's"
        one.close("bo")
        one.story.clock.time += timedelta(days=1, minutes=1)
        assert export(one) == 1
        one.settle()
        assert one.found_by("bo") == "bulk"


def test_a_group_is_exported_alone(with_topics: House) -> None:
    member = [{"entity": {"reference": "Patient/cy"}}]
    group = with_topics.ehr.client.create({"resourceType": "Group", "type": "person", "actual": True, "member": member})
    for name in ("cy", "dee"):
        with_topics.close(name)
    with_topics.look_by(f"bulk={group['id']}")
    export(with_topics)
    with_topics.settle()
    assert with_topics.found_by("cy") == "bulk"
    assert with_topics.visit("dee") is None


def test_a_close_is_found_by_the_day_s_schedule(anywhere: House) -> None:
    client, today = anywhere.ehr.client, anywhere.story.clock.time.date().isoformat()
    booked = client.create(
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": f"{today}T15:00:00Z",
            "end": f"{today}T15:20:00Z",
            "participant": [{"actor": {"reference": "Patient/dee"}, "status": "accepted"}],
        }
    )
    anywhere.look_by("sweep")
    for name in ("ada", "dee"):
        anywhere.close(name)
    ringing.ring(anywhere.story.wiring)
    anywhere.settle()
    client.request("DELETE", f"Appointment/{booked['id']}")
    assert anywhere.found_by("dee") == "sweep"
    assert anywhere.visit("ada") is None, "who is on no schedule is another trigger's"
