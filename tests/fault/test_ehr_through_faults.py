"""Every visit that closes reaches the right state once, and nothing is written twice, whatever the way to the EHR does.

Charts are loaded into a real EHR; visits close there at seeded moments. We reach it only through a proxy that delays, refuses,
cuts, loses answers and ends tokens, its clock two minutes off; its hooks reach us lost, doubled and reordered; for an hour it
is silent.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.demo.server import Server
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.fhir.ours import CLAIM_NUMBER
from fhir_billing.fhir.task import STATUS
from fhir_billing.worker import beat
from tests.conftest import Peer
from tests.e2e import charts
from tests.e2e.story import Story
from tests.fault.fault_proxy import HOOKS, FaultProxy

VISITS = int(os.environ.get("CAMPAIGN_CLOSES", "24"))
SECRET = "rings-at-our-door"
DECIDED = {State.PAID, State.CLOSED, State.DENIED}
KINDS = ("Task", "Claim", "ClaimResponse", "ExplanationOfBenefit")
REPORT = Path(__file__).resolve().parents[2] / ".cache" / "campaign" / "faults.json"


@pytest.fixture
def own_sekmet(tmp_path: Path) -> Iterator[EhrSettings]:
    """An EHR of this test's own behind strict backend services."""
    folder = tmp_path / "peer"
    folder.mkdir()
    peer = Peer("sekmet.sh", folder)
    said = peer.start("smart", SMART_PORT="0")
    yield EhrSettings(
        url=said["SEKMET_SMART"],
        client_id=said["SEKMET_SMART_CLIENT"],
        key=Path(said["SEKMET_SMART_KEY"]),
        token_url=said["SEKMET_SMART"].removesuffix("/fhir") + "/auth/token",
        scopes="system/*.cruds",
    )
    peer.stop("smart")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def put(chart: FhirClient, resources: list[dict[str, Any]]) -> None:
    """Load resources under their own ids, a few hundred at a time."""
    for start in range(0, len(resources), 200):
        some = resources[start : start + 200]
        entry = [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in some]
        answer = chart.batch({"resourceType": "Bundle", "type": "batch", "entry": entry})
        assert {str(e["response"]["status"])[0] for e in answer["entry"]} == {"2"}


def opened(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**r, "status": "in-progress"} if r["resourceType"] == "Encounter" else r for r in resources]


def written(chart: FhirClient, kind: str) -> Counter[str]:
    """How often the chart holds each of our numbers, by kind."""
    found: Counter[str] = Counter()
    for resource in chart.search(kind, {"_count": "200"}):
        if resource.get("resourceType") != kind:
            continue
        found.update(i["value"] for i in resource.get("identifier") or [] if i.get("system") == CLAIM_NUMBER)
    return found


@pytest.mark.timeout(60 + 6 * VISITS)
@pytest.mark.parametrize("seed", [7])
def test_every_visit_reaches_the_right_state_once_through_every_fault(
    seed: int, own_sekmet: EhrSettings, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    chart = connect(own_sekmet)[0].client
    proxy = FaultProxy(own_sekmet.url.removesuffix("/fhir"), seed=seed, rate=0.15, skew=120)
    through = connect(replace(own_sekmet, url=f"{proxy.url}/fhir"))[0]
    story = Story(
        folder=tmp_path,
        database=f"sqlite:///{tmp_path / 'book.db'}",
        scenario="pays",
        day="2026-03-04",
        ehr=(through, through),
    )
    story.wiring.settings.hook_secret = SECRET
    visits = charts.many_visits(VISITS)
    put(chart, charts.clinic())
    for _, resources in visits:
        put(chart, opened(resources[len(charts.clinic()) :]))
    port = free_port()
    hooks = FaultProxy(f"http://127.0.0.1:{port}", seed=seed + 1, rate=0.3, faults=HOOKS)
    waiting = [encounter for encounter, _ in visits]
    chance.shuffle(waiting)
    rounds = 0
    with Server(story.wiring, port):
        connect(own_sekmet)[0].subscribe(f"{hooks.url}/hooks/ehr", SECRET)
        while waiting or rounds < 20:
            for _ in range(min(len(waiting), chance.randint(1, max(2, VISITS // 10)))):
                visit = chart.read(waiting.pop())
                chart.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
            if rounds == 5:
                proxy.silent.set()
            if rounds == 8:
                proxy.silent.clear()
            one_round(story, minutes=20 if 5 <= rounds < 8 else 1)
            rounds += 1
        proxy.be_kind()
        hooks.be_kind()
        for _ in range(40):
            one_round(story, minutes=16)
            if settled(story):
                break
    claims = story.claims()
    for fault in ("429", "500", "reset", "lost answer", "half a body", "401", "silence"):
        assert proxy.done[fault], f"{fault} never happened: the run proves nothing of it"
    assert len(claims) == VISITS
    assert Counter(c.attempt for c in claims.values()) == {1: VISITS}, "each claim left once"
    assert settled(story), json.dumps(dict(Counter(c.state for c in claims.values())))
    with story.wiring.store.begin() as book:
        assert len(book.visits()) == VISITS
        assert {v.found_by for v in book.visits()} <= {"hook", "poll"}
        found_by = Counter(v.found_by for v in book.visits())
        numbers = Counter(n for e in book.envelopes() for ns in e.sets.values() for n in ns)
    assert set(numbers.values()) == {1}
    for kind in KINDS:
        assert written(chart, kind) == Counter(dict.fromkeys(claims, 1)), f"{kind}: each once"
    said = {
        t["identifier"][0]["value"]: t["businessStatus"]["coding"][0]["code"]
        for t in chart.search("Task", {"_count": "200"})
    }
    assert said == {number: STATUS[claim.state][1] for number, claim in claims.items()}, (
        "the chart says what the book says"
    )
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)
    report(seed, proxy, hooks, found_by, rounds)
    proxy.close()
    hooks.close()


def one_round(story: Story, *, minutes: int) -> None:
    """A minute or more passes, and everything that waits is tried once."""
    story.clock.time += timedelta(minutes=minutes)
    for step in (beat.ring, beat.beat):
        try:
            step(story.wiring)
        except Exception as error:
            print(type(error).__name__, file=sys.stderr)


def settled(story: Story) -> bool:
    """Whether every visit has its decided claim, and nothing waits."""
    claims = story.claims()
    waits = story.wiring.store.waiting_counts()
    return len(claims) == VISITS and all(c.state in DECIDED for c in claims.values()) and not any(waits.values())


def report(seed: int, proxy: FaultProxy, hooks: FaultProxy, found_by: Counter[str], rounds: int) -> None:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "visits": VISITS, "seed": seed, "rounds": rounds, "requests": sum(proxy.requests.values()), "faults": dict(proxy.done),
        "hooks": dict(hooks.done), "found_by": dict(found_by),
    }  # fmt: skip
    REPORT.write_text(json.dumps(said) + "\n", encoding="utf-8")
