"""Other apps follow claims: a receiver of theirs, on a port, hears of each change once, in order, whatever happens between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fhir_billing.cycle.records import Kind
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.fhir.topic import BACKPORT, TOPIC
from fhir_billing.worker import beat
from tests.contract.facade import SECRET, House
from tests.e2e.charts import chart, encounter_of, finished, many_visits
from tests.e2e.story import ROOT

SCOPES = ("system/Task.rs", "system/Subscription.cruds")


@dataclass
class Receiver:
    """A receiver that can be told to refuse; it keeps what it took, in its order."""

    status: int = 200
    heard: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if 200 <= receiver.status < 300:
                    receiver.heard.append(loads(body))
                    receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/told"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def kinds(self) -> list[str]:
        return [said(bundle)["type"] for bundle in self.heard]

    def numbers(self) -> list[int]:
        return [number for bundle in self.heard for number, _ in told(bundle)]


def said(bundle: dict[str, Any]) -> dict[str, Any]:
    rows = bundle["entry"][0]["resource"]["parameter"]
    return {row["name"]: next(v for k, v in row.items() if k.startswith("value")) for row in rows if "part" not in row}


def told(bundle: dict[str, Any]) -> list[tuple[int, str]]:
    events = [row["part"] for row in bundle["entry"][0]["resource"]["parameter"] if "part" in row]
    found = []
    for parts in events:
        by = {part["name"]: part for part in parts}
        focus = by["focus"]["valueReference"]["reference"] if "focus" in by else ""
        found.append((int(by["event-number"]["valueString"]), focus))
    return found


def wanted(
    endpoint: str, *, criteria: str = "", content: str = "id-only", beat_: int = 0, **more: Any
) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "follows",
        "criteria": TOPIC,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "header": ["Authorization: Bearer of-the-follower"],
            "_payload": {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": content}]},
        },
        **more,
    }
    if criteria:
        resource["_criteria"] = {"extension": [{"url": f"{BACKPORT}backport-filter-criteria", "valueString": criteria}]}
    if beat_:
        resource["channel"]["extension"] = [{"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": beat_}]
    return resource


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, receiver: Receiver) -> Iterator[House]:
    made = House(folder=tmp_path)
    made.app("follower", *SCOPES, private_hosts=[receiver.place], hosts=["follower.example", "localhost"])
    made.app("other", *SCOPES)
    with made.open():
        yield made


@pytest.fixture
def follower(house: House) -> Iterator[httpx2.Client]:
    with house.client("follower", " ".join(SCOPES)) as client:
        yield client


def follow(house: House, client: httpx2.Client, resource: dict[str, Any]) -> str:
    made = client.post("Subscription", json=resource)
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "requested"
    assert complaints(made.json()) == []
    assert made.headers["location"].endswith(made.json()["id"])
    beat.relay(house.story.wiring)
    return str(made.json()["id"])


def later(house: House, seconds: int) -> None:
    house.story.clock.time += timedelta(seconds=seconds)
    beat.relay(house.story.wiring)


def status(client: httpx2.Client, which: str) -> dict[str, Any]:
    answer = loads(client.get(f"Subscription/{which}/$status").content)
    return said({"entry": [{"resource": answer["entry"][0]["resource"]}]})


def test_a_follower_shakes_hands_and_hears_of_each_change_in_order(
    house: House, follower: httpx2.Client, receiver: Receiver
) -> None:
    which = follow(house, follower, wanted(receiver.url, content="full-resource"))
    assert receiver.kinds() == ["handshake"]
    assert status(follower, which)["status"] == "active"
    house.paid("ada")
    beat.relay(house.story.wiring)
    assert set(receiver.kinds()[1:]) == {"event-notification"}
    assert receiver.numbers() == list(range(1, len(receiver.numbers()) + 1))
    for bundle in receiver.heard:
        assert complaints(bundle) == []
    words = [b["entry"][1]["resource"]["businessStatus"]["coding"][0]["code"] for b in receiver.heard[1:]]
    assert words == ["ready", "queued", "sent", "received", "in-adjudication", "adjudicated"]
    for bundle in receiver.heard[1:]:
        task = bundle["entry"][1]["resource"]
        assert complaints(task) == []
        assert bundle["entry"][1]["fullUrl"] == f"{house.fhir}/Task/{task['id']}"
    assert receiver.headers[0]["authorization"] == "Bearer of-the-follower"
    assert "of-the-follower" not in follower.get(f"Subscription/{which}").text
    assert b"of-the-follower" not in (house.folder / "house" / "book.db").read_bytes()
    assert status(follower, which)["events-since-subscription-start"] == "6"
    before = len(receiver.heard)
    assert house.story.replay_is_equal(house.folder)
    beat.until_quiet(house.story.wiring)
    assert len(receiver.heard) == before, "replay tells nobody"


def test_a_filter_and_an_empty_body_keep_what_is_not_asked_for(
    house: House, follower: httpx2.Client, receiver: Receiver
) -> None:
    follow(house, follower, wanted(receiver.url, criteria="Task?patient=Patient/bo&status=completed", content="empty"))
    house.paid("ada", "bo")
    beat.relay(house.story.wiring)
    assert receiver.kinds() == ["handshake", "event-notification"]
    assert told(receiver.heard[1]) == [(1, "")]
    assert len(receiver.heard[1]["entry"]) == 1


def test_a_receiver_that_is_down_for_a_while_gets_all_in_order(
    house: House, follower: httpx2.Client, receiver: Receiver
) -> None:
    which = follow(house, follower, wanted(receiver.url))
    receiver.status = 503
    house.paid("ada", "bo")
    for _ in range(4):
        later(house, 1)
    assert receiver.kinds() == ["handshake"]
    gap = loads(
        follower.get(
            f"Subscription/{which}/$events", params={"eventsSinceNumber": "2", "eventsUntilNumber": "5"}
        ).content
    )
    assert complaints(gap) == []
    assert said(gap)["type"] == "query-event"
    assert [number for number, _ in told(gap)] == [2, 3, 4, 5]
    assert status(follower, which)["status"] == "active"
    receiver.status = 200
    for _ in range(12):
        later(house, 1000)
    assert receiver.numbers() == list(range(1, 13))


def test_a_receiver_that_is_down_for_a_day_is_in_error_and_begins_again_with_what_it_missed(
    house: House, follower: httpx2.Client, receiver: Receiver
) -> None:
    which = follow(house, follower, wanted(receiver.url))
    receiver.status = 500
    house.story.visit(*visit("ada"))
    beat.relay(house.story.wiring)
    later(house, 25 * 3600)
    with house.client("follower", " ".join(SCOPES)) as client:
        assert status(client, which)["status"] == "error"
        house.story.send()
        receiver.status = 200
        for _ in range(3):
            later(house, 60)
        assert receiver.numbers() == []
        again = client.put(f"Subscription/{which}", json=wanted(receiver.url))
        assert again.status_code == 200
        for _ in range(3):
            beat.relay(house.story.wiring)
        assert receiver.kinds()[:2] == ["handshake", "handshake"]
        assert receiver.numbers() == list(range(1, len(receiver.numbers()) + 1))
        assert len(receiver.numbers()) >= 3
        assert status(client, which)["status"] == "active"


def visit(name: str) -> tuple[str, list[dict[str, Any]]]:
    resources = finished(chart(name))
    return encounter_of(resources), resources


def test_without_its_handshake_nothing_is_sent(house: House, follower: httpx2.Client, receiver: Receiver) -> None:
    receiver.status = 404
    which = follow(house, follower, wanted(receiver.url))
    house.story.visit(*visit("ada"))
    for _ in range(3):
        later(house, 240)
    assert receiver.heard == []
    with house.client("follower", " ".join(SCOPES)) as client:
        assert status(client, which)["status"] == "error"
        assert client.get(f"Subscription/{which}").json()["error"] == "it answered 404"
    receiver.status = 302
    with house.client("follower", " ".join(SCOPES)) as client:
        follow(house, client, wanted(receiver.url))
    assert receiver.heard == [], "a redirect is no yes, and is not followed"


def test_a_heartbeat_tells_that_nothing_happened(house: House, follower: httpx2.Client, receiver: Receiver) -> None:
    follow(house, follower, wanted(receiver.url, beat_=60))
    beat.heartbeats(house.story.wiring)
    assert receiver.kinds() == ["handshake"]
    house.story.clock.time += timedelta(seconds=61)
    beat.heartbeats(house.story.wiring)
    beat.heartbeats(house.story.wiring)
    assert receiver.kinds() == ["handshake", "heartbeat"]


def test_what_ended_hears_no_more(house: House, follower: httpx2.Client, receiver: Receiver) -> None:
    which = follow(house, follower, wanted(receiver.url))
    assert follower.delete(f"Subscription/{which}").status_code == 204
    assert follower.get(f"Subscription/{which}").status_code == 410
    assert follower.get("Subscription").json()["total"] == 0
    off = follow(house, follower, wanted(receiver.url))
    assert follower.put(f"Subscription/{off}", json=wanted(receiver.url, status="off")).json()["status"] == "off"
    before = len(receiver.heard)
    house.paid("ada")
    beat.until_quiet(house.story.wiring)
    assert len(receiver.heard) == before


def test_an_app_that_lost_its_host_is_told_nothing_more(
    house: House, follower: httpx2.Client, receiver: Receiver
) -> None:
    follow(house, follower, wanted(receiver.url))
    house.app("follower", *SCOPES, hosts=["follower.example"])
    house.story.visit(*visit("ada"))
    beat.until_quiet(house.story.wiring)
    assert receiver.kinds() == ["handshake"]
    with house.client("follower", " ".join(SCOPES)) as client:
        assert client.get("Subscription", params={"status": "error"}).json()["total"] == 1


def test_another_apps_subscription_is_not_there(house: House, follower: httpx2.Client, receiver: Receiver) -> None:
    which = follow(house, follower, wanted(receiver.url))
    with house.client("other", " ".join(SCOPES)) as other:
        assert other.get("Subscription").json()["total"] == 0
        for answer in (
            other.get(f"Subscription/{which}"),
            other.get(f"Subscription/{which}/$status"),
            other.get(f"Subscription/{which}/$events"),
            other.delete(f"Subscription/{which}"),
        ):
            assert answer.status_code == 404
        assert other.put(f"Subscription/{which}", json=wanted(receiver.url)).status_code in {404, 422}


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://follower.example/x",
        "https://stranger.example/x",
        "https://follower.example.evil.example/x",
        "https://user@follower.example/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "http://127.0.0.1:1/x",
        "https://[::1]/x",
        "file:///etc/passwd",
        "https://follower.example:8443/x",
        "",
    ],
)
def test_an_endpoint_that_the_apps_file_does_not_list_is_refused(follower: httpx2.Client, endpoint: str) -> None:
    refused = follower.post("Subscription", json=wanted(endpoint))
    assert refused.status_code == (422 if endpoint != "https://follower.example:8443/x" else 201), refused.text
    assert "169.254" not in refused.text


def test_a_listed_name_that_leads_inside_the_house_is_not_asked(house: House, follower: httpx2.Client) -> None:
    which = follow(house, follower, wanted(f"https://localhost:{house.port}/x"))
    found = follower.get(f"Subscription/{which}").json()
    assert found["status"] == "error"
    assert found["error"] == "its name leads inside the house"


@pytest.mark.parametrize(
    "wrong",
    [
        {"criteria": "Encounter?status=finished"},
        {"status": "error"},
        {"_criteria": {"extension": [{"url": f"{BACKPORT}backport-filter-criteria", "valueString": "Task?owner=x"}]}},
        {"channel": {"type": "email", "endpoint": "mailto:x@example.com"}},
        {"channel": {"type": "rest-hook", "endpoint": "https://follower.example/", "header": ["Host: evil.example"]}},
        {"channel": {"type": "rest-hook", "endpoint": "https://follower.example/", "header": ["X: a\r\nY: b"]}},
        {"channel": {"type": "rest-hook", "endpoint": "https://follower.example/", "payload": "application/xml"}},
    ],
)
def test_a_subscription_that_asks_for_something_else_is_refused(follower: httpx2.Client, wrong: dict[str, Any]) -> None:
    refused = follower.post("Subscription", json={**wanted("https://follower.example/x"), **wrong})
    assert refused.status_code == 400
    assert complaints(refused.json()) == []


def test_following_needs_its_own_right_and_the_right_to_read(house: House, receiver: Receiver) -> None:
    house.app("blind", "system/Subscription.cruds", private_hosts=[receiver.place])
    house.app("deaf", "system/Task.rs", private_hosts=[receiver.place])
    for name in ("blind", "deaf"):
        with house.client(name, " ".join(SCOPES)) as client:
            assert client.post("Subscription", json=wanted(receiver.url)).status_code == 403


def test_workers_killed_at_random_points_leave_no_event_out(tmp_path: Path, receiver: Receiver) -> None:
    house = House(folder=tmp_path)
    house.app("follower", *SCOPES, private_hosts=[receiver.place])
    story, visits = house.story, many_visits(6)
    with house.open(), house.client("follower", " ".join(SCOPES)) as client:
        follow(house, client, wanted(receiver.url))
        for encounter, resources in visits:
            body = dumps({"encounter": encounter, "found_by": "hook", "resources": resources})
            story.wiring.store.keep(Kind.VISIT, encounter, body, at=story.clock.now(), channel="ehr", name=encounter)
        chance, killed, deadline = random.Random(4), 0, time.monotonic() + 90
        while killed < 5:
            before = len(receiver.heard)
            process = worker(house)
            while len(receiver.heard) < before + 2 and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        last = worker(house)
        expected = len(visits) * 6
        while len(set(receiver.numbers())) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        last.send_signal(signal.SIGTERM)
        last.wait(timeout=20)
    assert {claim.state for claim in story.claims().values()} == {State.PAID}
    numbers = receiver.numbers()
    assert list(dict.fromkeys(numbers)) == list(range(1, expected + 1)), "each first in its order, none left out"
    assert len(numbers) <= expected + killed, "sent again at most once for each kill"


def test_the_same_holds_on_postgres_and_redis(
    tmp_path: Path, receiver: Receiver, fresh_postgres_url: str, redis_url: str
) -> None:
    house = House(folder=tmp_path, database=fresh_postgres_url, redis_url=redis_url)
    house.app("follower", "system/*.cruds", private_hosts=[receiver.place])
    with house.open(), house.client("follower", "system/*.cruds") as client:
        follow(house, client, wanted(receiver.url, content="full-resource"))
        house.paid("ada", "bo")
        beat.until_quiet(house.story.wiring)
        assert receiver.numbers() == list(range(1, 13))
        begun = client.get("$export", headers={"Prefer": "respond-async"})
        while (answer := client.get(begun.headers["content-location"])).status_code == 202:
            time.sleep(0.02)
        for output in answer.json()["output"]:
            rows = [loads(line) for line in client.get(output["url"]).content.splitlines()]
            paged: list[dict[str, Any]] = []
            page = client.get(output["type"], params={"_count": "1"})
            while True:
                body = loads(page.content)
                paged += [entry["resource"] for entry in body["entry"]]
                further = [link["url"] for link in body["link"] if link["relation"] == "next"]
                if not further:
                    break
                page = client.get(further[0])
            assert rows == paged, output["type"]
        assert client.get("Task", params={"patient": "ada", "_summary": "count"}).json()["total"] == 1


def worker(house: House) -> subprocess.Popen[bytes]:
    settings = house.story.wiring.settings
    environment = {
        **os.environ,
        "FHIR_BILLING_DATABASE": settings.database,
        "FHIR_BILLING_CHANNELS": str(settings.channels),
        "FHIR_BILLING_SCENARIO": str(settings.scenario),
        "FHIR_BILLING_SITE": settings.site,
        "FHIR_BILLING_APPS": str(settings.apps),
        "FHIR_BILLING_SESSION_SECRET": SECRET,
        "FHIR_BILLING_PUBLIC_URL": settings.public_url,
        "FHIR_BILLING_BEAT_SECONDS": "0.05",
        "REDIS_URL": "",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "fhir_billing", "worker"], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
    )
