"""Every visit that closes reaches the right state once, and nothing is written twice, whatever the way to the EHR does.

Charts are loaded into a real EHR; visits close there at seeded moments. We reach it only through a proxy that delays, refuses,
cuts, loses answers and ends tokens, its clock two minutes off; its hooks reach us lost, doubled and reordered; for an hour it
is silent, for another it forbids everything; and it may come back empty, with the charts laid in anew and nothing left of ours.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.demo.server import Server
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import sync
from fhir_billing.ehr.connect import connect
from fhir_billing.fhir.task import STATUS
from fhir_billing.worker import beat
from tests.e2e import charts
from tests.e2e.story import Story
from tests.fault import ehrs
from tests.fault.fault_proxy import HOOKS, FaultProxy

VISITS = int(os.environ.get("CAMPAIGN_CLOSES", "16"))
SEEDS = [int(seed) for seed in os.environ.get("CAMPAIGN_SEEDS", "7").split(",")]
SHORT = max(12, VISITS // 20)
"""Visits of the EHR whose tokens end all the time."""
FEW = max(6, VISITS // 20)
"""Visits of a run in which the EHR comes back empty."""
SECRET = "rings-at-our-door"
DECIDED = {State.PAID, State.CLOSED, State.DENIED}
KINDS = ("Task", "Claim", "ClaimResponse", "ExplanationOfBenefit")
SILENT = range(5, 8)
"""The rounds of the hour in which the EHR says nothing."""
FORBIDDEN = range(9, 12)
"""The rounds of the hour in which the EHR forbids everything."""
EMPTIED = 12
"""The round before which the EHR comes back empty."""
ROUNDS = 20
REPORT = Path(__file__).resolve().parents[2] / ".cache" / "campaign" / "faults.json"


class Ward:
    """One EHR, we behind the proxy, and the visits that will close."""

    def __init__(self, ehr: ehrs.OwnEhr, visits: int, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.chance = random.Random(seed)
        self.ehr = ehr
        self.chart = self.ehr.chart()
        self.proxy = FaultProxy(self.ehr.origin, seed=seed, rate=0.15, skew=120)
        url = self.ehr.settings.url.replace(self.ehr.origin, self.proxy.url)
        through = connect(replace(self.ehr.settings, url=url))[0]
        self.story = Story(
            folder=folder,
            database=f"sqlite:///{folder / 'book.db'}",
            scenario="pays",
            day="2026-03-04",
            ehr=(through, through),
        )
        self.visits = dict(charts.many_visits(visits))
        self.waiting = list(self.visits)
        self.chance.shuffle(self.waiting)
        self.closed: set[str] = set()
        self.rounds = 0
        self.port = free_port()
        self.hooks = FaultProxy(f"http://127.0.0.1:{self.port}", seed=seed + 1, rate=0.3, faults=HOOKS)
        self.story.wiring.settings.hook_secret = SECRET
        self.story.wiring.settings.public_url = self.hooks.url
        self.lay()

    def lay(self) -> None:
        """The charts as the hospital has them."""
        clinic = charts.clinic()
        ehrs.put(self.chart, clinic)
        for encounter, resources in self.visits.items():
            status = "finished" if encounter in self.closed else "in-progress"
            ehrs.put(self.chart, ehrs.in_status(resources[len(clinic) :], status))

    def close_some(self) -> None:
        """Clinicians close visits."""
        for _ in range(min(len(self.waiting), self.chance.randint(1, max(2, len(self.visits) // 10)))):
            encounter = self.waiting.pop()
            visit = self.chart.read(encounter)
            self.chart.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
            self.closed.add(encounter)

    def comes_back_empty(self) -> None:
        """The server is gone for a while, then there and empty for a while, and then its charts are there again."""
        self.ehr.stop()
        self.one_round(minutes=5)
        self.ehr.start_empty()
        self.chart = self.ehr.chart()
        self.one_round(minutes=5)
        assert ehrs.written(self.chart, "Claim").keys() <= self.story.claims().keys()
        self.lay()

    def run(self, *, emptied: bool) -> None:
        """Visits close while everything fails; then all is kind, and what waits is tried until nothing does."""
        with Server(self.story.wiring, self.port):
            while self.waiting or self.rounds < ROUNDS:
                self.close_some()
                if self.rounds == EMPTIED and emptied:
                    self.comes_back_empty()
                self.tried(beat.subscribe)
                (self.proxy.silent.set if self.rounds in SILENT else self.proxy.silent.clear)()
                (self.proxy.forbids.set if self.rounds in FORBIDDEN else self.proxy.forbids.clear)()
                self.one_round(minutes=20 if self.rounds in {*SILENT, *FORBIDDEN} else 1)
                self.rounds += 1
            self.proxy.be_kind()
            self.tried(beat.subscribe)
            self.hooks.be_kind()
            for _ in range(40):
                self.one_round(minutes=16)
                if self.is_settled():
                    break

    def one_round(self, *, minutes: int) -> None:
        """A minute or more passes, and everything that waits is tried once."""
        self.story.clock.time += timedelta(minutes=minutes)
        self.tried(beat.ring)
        self.tried(beat.beat)

    def tried(self, step: Any) -> None:
        """One step, as the worker takes it: what it raises is logged."""
        try:
            step(self.story.wiring)
        except Exception as error:
            print(type(error).__name__, file=sys.stderr)

    def is_settled(self) -> bool:
        """Whether every visit has its decided claim, and nothing waits or lies aside."""
        claims = self.story.claims()
        waits = self.story.wiring.store.waiting_counts()
        decided = all(c.state in DECIDED for c in claims.values())
        return len(claims) == len(self.visits) and decided and not any(waits.values())

    def sync(self, *, check: bool) -> list[sync.Line]:
        """The chart is made equal to the book, or only compared."""
        assert self.story.wiring.teller is not None
        return [line for line in sync.sync(self.story.wiring.teller, check=check) if line.differs]

    def end(self) -> None:
        """Everything stops."""
        self.proxy.close()
        self.hooks.close()


@pytest.fixture
def wards(tmp_path: Path) -> Iterator[Any]:
    """Makes a ward, and ends it."""
    with ExitStack() as ends:

        def make(name: str, visits: int, seed: int) -> Ward:
            ehr = ehrs.made(name, tmp_path / "peer")
            ends.callback(ehr.stop)
            ward = Ward(ehr, visits, seed, tmp_path)
            ends.callback(ward.end)
            return ward

        yield make


@pytest.mark.timeout(90 + 6 * VISITS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "visits"), [("sekmet", VISITS), ("medplum", SHORT)])
def test_every_visit_reaches_the_right_state_once_through_every_fault(
    name: str, visits: int, seed: int, wards: Any
) -> None:
    ward = wards(name, visits, seed)
    ward.run(emptied=False)
    for fault in ("429", "500", "reset", "lost answer", "half a body", "401", "403", "silence"):
        assert ward.proxy.done[fault], f"{fault} never happened: the run proves nothing of it"
    assert ward.hooks.done.total(), "nobody rang: the run proves nothing of hooks"
    the_book_is_right(ward)
    the_chart_is_right(ward)
    assert ward.sync(check=True) == []
    report(ward, "faults")


@pytest.mark.timeout(120 + 10 * FEW)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["sekmet", "medplum"])
def test_an_ehr_that_comes_back_empty_changes_no_claim_and_is_told_all_of_them_again(
    name: str, seed: int, wards: Any
) -> None:
    ward = wards(name, FEW, seed)
    ward.run(emptied=True)
    the_book_is_right(ward)
    assert ward.sync(check=True), "what was written before is gone"
    ward.sync(check=False)
    assert ward.sync(check=True) == []
    the_chart_is_right(ward)
    report(ward, "faults, and the EHR comes back empty")


def the_book_is_right(ward: Ward) -> None:
    """One decided claim a visit, sent once and posted to the cent; nothing waits."""
    story, claims = ward.story, ward.story.claims()
    waits = story.wiring.store.waiting_counts()
    assert ward.is_settled(), json.dumps([waits, dict(Counter(c.state for c in claims.values()))])
    assert Counter(c.attempt for c in claims.values()) == {1: len(ward.visits)}, "each claim left once"
    with story.wiring.store.begin() as book:
        assert {v.encounter for v in book.visits()} == ward.visits.keys()
        assert {v.found_by for v in book.visits()} <= {"hook", "poll"}
        numbers = Counter(n for e in book.envelopes() for ns in e.sets.values() for n in ns)
    assert numbers == Counter(dict.fromkeys(claims, 1))
    assert story.whole_book() == 0
    assert story.replay_is_equal(ward.folder)


def the_chart_is_right(ward: Ward) -> None:
    """Each of ours once, saying what the book says; one hook is asked for."""
    claims = ward.story.claims()
    for kind in KINDS:
        assert ehrs.written(ward.chart, kind) == Counter(dict.fromkeys(claims, 1)), f"{kind}: each once"
    said = {
        t["identifier"][0]["value"]: t["businessStatus"]["coding"][0]["code"]
        for t in ward.chart.search("Task", {"_count": "200"})
    }
    assert said == {number: STATUS[claim.state][1] for number, claim in claims.items()}
    asked = [one["channel"]["endpoint"] for one in ward.chart.search("Subscription", {"_count": "200"})]
    assert asked == [f"{ward.hooks.url}/hooks/ehr"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def report(ward: Ward, what: str) -> None:
    """One line a run."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    with ward.story.wiring.store.begin() as book:
        found_by = Counter(v.found_by for v in book.visits())
    said = {
        "what": what, "ehr": ward.ehr.name, "visits": len(ward.visits), "seed": ward.seed, "rounds": ward.rounds,
        "requests": ward.proxy.requests.total(), "faults": dict(ward.proxy.done), "hooks": dict(ward.hooks.done),
        "found_by": dict(found_by),
    }  # fmt: skip
    with REPORT.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(said) + "\n")
