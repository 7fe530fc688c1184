"""100,000 encounters of a chart laid beside 100,000 visits of the book, against SQLite's own set operations over the same rows.

The peer is what one would write without a comparison of our own: two tables in memory, an EXCEPT each way and one join; its
time includes the loading, as ours includes the reading. Both must tell the same differences. Our list comes unsorted.
"""

from __future__ import annotations

import random
import sqlite3
import tracemalloc
from collections.abc import Iterator
from typing import Any

from bench.timing import median
from fhir_billing.cycle.ports import Known, Sighting
from fhir_billing.cycle.reconcile import compare

MANY = 100_000
BUDGET_SECONDS = 2

Row = tuple[str, str, str]


def measure() -> list[dict[str, Any]]:
    """Equal first, then the time; the memory of one run is told beside it."""
    theirs, ours = sides()
    told = {(one.encounter, one.kind) for one in mine(theirs, ours)}
    assert told == peer(theirs, ours), "the two tell other differences"
    assert len(told) > MANY // 100
    tracemalloc.start()
    count = sum(1 for _ in mine(theirs, ours))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    our_time = median(lambda: list(mine(theirs, ours)))
    their_time = median(lambda: peer(theirs, ours))
    assert our_time < BUDGET_SECONDS, f"{our_time:.2f} s"
    return [
        {
            "name": "chart and book compared",
            "ratio": our_time / their_time,
            "against": "SQLite, EXCEPT each way and a join",
            "sizes": f"{MANY:,} encounters, {count:,} differ; {our_time * 1000:.0f} ms, {peak / 1_000_000:.0f} MB",
        }
    ]


def sides() -> tuple[list[Row], list[Row]]:
    """A chart and a book that differ in about three of a hundred visits, each in an order of its own."""
    chance = random.Random(4)  # noqa: S311 - the same two sides each time
    theirs, ours = [], []
    for number in range(MANY):
        name, version, drawn = f"Encounter/{number:08d}", str(1 + number % 7), chance.randrange(100)
        if drawn != 0:  # the chart has lost one of a hundred
            theirs.append((name, f"{version}9" if drawn == 1 else version, "cancelled" if drawn == 2 else "finished"))
        if drawn != 3:  # the book has missed another
            ours.append((name, version, "billed"))
    chance.shuffle(theirs)
    return theirs, ours


def mine(theirs: list[Row], ours: list[Row]) -> Iterator[Any]:
    """As the nightly run does it: both sides as they are read, one after the other."""
    return compare(
        (Sighting(encounter=e, version=v, status=s) for e, v, s in theirs),
        (Known(encounter=e, version=v, outcome=o) for e, v, o in ours),
    )


def peer(theirs: list[Row], ours: list[Row]) -> set[tuple[str, str]]:
    """The same by SQL."""
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE theirs (encounter TEXT PRIMARY KEY, version TEXT, status TEXT)")
    made.execute("CREATE TABLE ours (encounter TEXT PRIMARY KEY, version TEXT, outcome TEXT)")
    made.executemany("INSERT INTO theirs VALUES (?, ?, ?)", theirs)
    made.executemany("INSERT INTO ours VALUES (?, ?, ?)", ours)
    finished = "SELECT encounter FROM theirs WHERE status = 'finished'"
    found = {(e, "missing") for (e,) in made.execute(f"{finished} EXCEPT SELECT encounter FROM ours")}  # noqa: S608
    found |= {(e, "gone") for (e,) in made.execute(f"SELECT encounter FROM ours EXCEPT {finished}")}  # noqa: S608
    joined = "SELECT encounter FROM theirs JOIN ours USING (encounter) WHERE theirs.version <> ours.version"
    found |= {(e, "changed") for (e,) in made.execute(f"{joined} AND status = 'finished'")}
    made.close()
    return found
