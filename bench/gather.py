"""A closed visit: from the doorbell to the drafted claim, against the very same HTTP exchanges made bare; and closes a second with one worker and two.

Both EHRs are real servers on loopback, started for the run, near and then behind a wire on which a round trip takes 20 ms. The exchanges of each visit are recorded as it is worked and then
made again with nothing but httpx2 on a connection that is kept open: what is left is our own reading, keeping and drafting.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg

from bench._away import away
from fhir_billing.cycle.ports import Sighting
from fhir_billing.ehr.connect import EhrSettings, UserEhr, connect
from fhir_billing.fhir.text import dumps
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import Wiring
from fhir_billing.worker.beat import answer_doorbells, work
from fhir_billing.worker.ringing import rang
from tests.conftest import Peer
from tests.e2e import charts

VISITS = 60
SUSTAINED = 240
"""Enough that what a process does once at its start is little of it."""
DISTANCES = (("near", 0.0), ("20 ms away", 0.020))
AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


class StillClock:
    """It is always the same day."""

    def now(self) -> datetime:
        """Noon."""
        return AT


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it was sent."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one visit, the middle of many."""

    bare: float
    reading: float
    """Its resources gathered."""
    alone: float
    """From the doorbell to the draft, one visit at a time."""
    many: float
    """The same when all have closed together."""
    requests: int


def measure() -> list[dict[str, Any]]:
    """The ratio on each EHR, and closes a second."""
    rows: list[dict[str, Any]] = []
    for name in ("sekmet", "medplum router"):
        with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
            rows += _measured(Path(folder), name)
    return rows


def _measured(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with _ehr(folder, name) as settings:
        visits = _loaded(settings, VISITS)
        for where, round_trip in DISTANCES:
            with _behind(settings, round_trip) as reached:
                yield from _rows(f"{name}, {where}", _times(folder / where, reached, visits), len(visits))
        if name == "sekmet":
            visits = _loaded(settings, SUSTAINED)
            with _postgres(folder) as server:
                one, two = (_closes(server, settings, visits, workers) for workers in (1, 2))
            yield {
                "name": "closes a second, two workers",
                "ratio": one / two,
                "against": "one worker",
                "sizes": f"{one:.1f} with one, {two:.1f} with two, {len(visits)} visits, Postgres",
            }


def _rows(name: str, times: Times, visits: int) -> Iterator[dict[str, Any]]:
    sizes = f"{visits} visits, {times.requests / visits:.1f} requests, {{:.1f}} ms each, SQLite with full sync"
    for what, took in (
        ("read", times.reading),
        ("closed to drafted, alone", times.alone),
        ("closed to drafted, many", times.many),
    ):
        yield {
            "name": f"a visit {what}, {name}",
            "ratio": took / times.bare,
            "against": f"the same HTTP exchanges, bare httpx2: {1000 * times.bare:.1f} ms",
            "sizes": sizes.format(1000 * took),
        }


@contextmanager
def _behind(settings: EhrSettings, round_trip: float) -> Iterator[EhrSettings]:
    """The same EHR, so far away; both sides go the same way."""
    if not round_trip:
        yield settings
        return
    at = urlsplit(settings.url)
    with away(str(at.hostname), at.port or 80, round_trip) as port:
        yield replace(settings, url=urlunsplit(at._replace(netloc=f"127.0.0.1:{port}")))


@contextmanager
def _ehr(folder: Path, name: str) -> Iterator[EhrSettings]:
    run = folder / name.partition(" ")[0]
    run.mkdir()
    if name == "sekmet":
        peer = Peer("sekmet.sh", run)
        yield EhrSettings(url=peer.start("open", OPEN_PORT="0")["SEKMET_OPEN"])
        peer.stop("open")
        return
    peer = Peer("ci-ehr.sh", run)
    said = peer.start(FHIR_PORT="0", AUTH_PORT="0")
    yield EhrSettings(
        url=said["CI_EHR_FHIR"],
        client_id="billing-backend",
        key=Path(said["CI_EHR_KEY"]),
        key_id=said["CI_EHR_KID"],
        token_url=said["CI_EHR_AUTH"] + "/auth/token",
        scopes="system/*.cruds",
    )
    peer.stop()


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """What several workers share; SQLite lets one write at a time, and makes the others wait long."""
    peer = Peer("backing.sh", folder)
    yield peer.start("postgres", PG_PORT="0")["BACKING_POSTGRES"]
    peer.stop("postgres")


def _loaded(settings: EhrSettings, count: int) -> list[str]:
    """Many patients' closed visits, in the EHR."""
    client = connect(settings)[0].client
    found = []
    for visit, resources in charts.many_visits(count):
        entry = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        client.batch({"resourceType": "Bundle", "type": "batch", "entry": entry})
        found.append(visit)
    return found


def _wired(url: str, settings: EhrSettings, *, several: bool = False) -> Wiring:
    migrate(url)
    shared = "redis://nobody.example" if several else ""
    """It is never called: it says that other workers share the book."""
    wiring = Wiring(settings=Settings(database=url, redis_url=shared, ehr_url=settings.url), clock=StillClock())
    made = connect(settings)
    wiring.__dict__["ehr"] = made
    wiring.site  # noqa: B018 - compiled before the clock runs
    return wiring


def _times(folder: Path, settings: EhrSettings, visits: list[str]) -> Times:
    """Visit by visit in turns with the bare exchanges, so that a busy machine troubles both."""
    folder.mkdir()
    wiring = _wired(f"sqlite:///{folder / 'alone.db'}", settings)
    heard: list[Exchange] = []
    reader = wiring.ehr[0] if wiring.ehr else None
    assert isinstance(reader, UserEhr)
    reader.client._http.event_hooks = {"request": [lambda request: heard.append(_recorded(request))]}  # noqa: SLF001
    reader.client.sign_in()
    reader.gather(visits[0])
    reading, alone, bare, requests = [], [], [], 0
    with httpx2.Client(timeout=30) as http:
        for visit in visits:
            reading.append(_seconds(partial(reader.gather, visit)))
            heard.clear()
            alone.append(_seconds(partial(_closed, wiring, [visit])))
            requests += len(heard)
            bare.append(
                _seconds(lambda: [http.request(e.method, e.url, headers=e.headers, content=e.body) for e in heard])
            )
    _whole(wiring, visits)
    wiring = _wired(f"sqlite:///{folder / 'many.db'}", settings)
    many = _seconds(lambda: _closed(wiring, visits)) / len(visits)
    _whole(wiring, visits)
    middle = statistics.median
    return Times(bare=middle(bare), reading=middle(reading), alone=middle(alone), many=many, requests=requests)


def _closed(wiring: Wiring, visits: list[str]) -> None:
    for visit in visits:
        rang(wiring, Sighting(encounter=visit, version="1"), found_by="hook")
    answer_doorbells(wiring)
    work(wiring)


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _whole(wiring: Wiring, visits: list[str]) -> None:
    with wiring.store.begin() as book:
        assert len(book.claims()) == len(visits), "every visit has its claim, once"
    wiring.store.close()


def _recorded(request: httpx2.Request) -> Exchange:
    headers = [
        (name, value) for name, value in request.headers.multi_items() if name.lower() not in {"host", "content-length"}
    ]
    return Exchange(request.method, str(request.url), headers, request.content)


def _closes(server: str, settings: EhrSettings, visits: list[str], workers: int) -> float:
    """Claims drafted a second, by so many worker processes on one book."""
    name = f"bench_{workers}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
    database = f"{server.rpartition('/')[0]}/{name}".replace("postgresql://", "postgresql+psycopg://")
    wiring = _wired(database, settings)
    for visit in visits:
        rang(wiring, Sighting(encounter=visit, version="1"), found_by="hook")
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers + 1)
    started = [context.Process(target=_worker, args=(database, settings, workers > 1, ready)) for _ in range(workers)]
    for one in started:
        one.start()
    ready.wait(60)
    begun = time.perf_counter()
    for one in started:
        one.join()
    took = time.perf_counter() - begun
    _whole(wiring, visits)
    return len(visits) / took


def _worker(database: str, settings: EhrSettings, several: bool, ready: Any) -> None:
    wiring = _wired(database, settings, several=several)
    ready.wait(60)
    while wiring.store.doorbells(AT):
        answer_doorbells(wiring)
        work(wiring)
    work(wiring)


if __name__ == "__main__":
    print(dumps(measure()).decode())
