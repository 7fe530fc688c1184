"""A code looked for as somebody types, over the whole of ICD-10-CM, against SQLite's own full-text search (FTS5) over the same words.

Equal first: wherever FTS5 finds codes with all words as typed or begun, we find some too, and our first is one of them; what
people say and what they mistype FTS5 does not know, so it is timed on both and compared on neither.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from typing import Any

from bench.timing import median
from fhir_billing import mapping_files
from fhir_billing.code_tables import diagnoses
from fhir_billing.finder.needs import synonyms
from fhir_billing.finder.search import search
from fhir_billing.finder.table import Table
from fhir_billing.finder.words import asked, words
from fhir_billing.settings import mappings_root

BUDGET = 50
PLAIN = (
    "type 2 diabetes mellitus", "fracture radius left", "pain right knee", "asthma", "chronic kidney disease stage 4",
    "malignant neoplasm breast", "headache", "sprain ankle initial encounter", "pneumonia organism", "major depressive disorder",
)  # fmt: skip
SPOKEN = ("heart attack", "broken left wrist", "high blood pressure", "sugar", "strep throat")
MISTYPED = ("fractrue left radus", "diabetis", "astma", "left ankel sprian", "pneumona", "zzzzqqqq", "knea pian")
CODES = ("M25.561", "e11", "S52501A", "i10")


def measure() -> list[dict[str, Any]]:
    """One row: our time for all keystrokes over FTS5's, and the slowest twentieth of our answers."""
    table = diagnoses()
    assert table is not None, "the table of diagnoses was not made: make setup"
    said = synonyms(mapping_files.load("demo", mappings_root()).code_words["diagnosis"])
    other = peer(table)
    for question in keystrokes(PLAIN):
        theirs = found(other, question)
        ours = search(table, question)
        if theirs and len(asked(question)) > 1 and len(asked(question)[-1]) > 1:
            assert ours, question
            assert ours[0].code in theirs, (question, ours[0])
    typed = keystrokes((*PLAIN, *SPOKEN, *MISTYPED, *CODES))
    search(table, "mistpyed")  # the first mistyped word reads the letters of all
    each = [timed(table, question, said) for question in typed for _ in range(3)]
    p95 = statistics.quantiles(each, n=20)[-1] * 1000
    ours_all = median(lambda: [search(table, q, said=said) for q in typed], runs=3)
    theirs_all = median(lambda: [ranked(other, q) for q in typed], runs=3)
    return [
        {
            "name": "a code found, per keystroke",
            "ratio": ours_all / theirs_all,
            "against": "SQLite FTS5, bm25, no typos",
            "sizes": f"{len(table):,} codes, {len(typed)} keystrokes; p95 {p95:.1f} ms, budget {BUDGET} ms",
        }
    ]


def keystrokes(questions: tuple[str, ...]) -> list[str]:
    """What is asked while somebody types: after each letter from the second on."""
    return [question[:end] for question in questions for end in range(2, len(question) + 1)]


def timed(table: Table, question: str, said: Any) -> float:
    begun = time.perf_counter()
    search(table, question, said=said)
    return time.perf_counter() - begun


def peer(table: Table) -> sqlite3.Connection:
    """The same words in FTS5."""
    made = sqlite3.connect(":memory:")
    made.execute("CREATE VIRTUAL TABLE codes USING fts5(code UNINDEXED, said, prefix='2 3 4')")
    rows = ((table.codes[n], " ".join(w for text in table.says(n) for w in words(text))) for n in range(len(table)))
    made.executemany("INSERT INTO codes VALUES (?, ?)", rows)
    return made


def _match(question: str) -> str:
    several = asked(question)
    return " ".join([*(f'"{word}"' for word in several[:-1]), f'"{several[-1]}"*']) if several else ""


def found(made: sqlite3.Connection, question: str) -> set[str]:
    """All that FTS5 finds, the last word as far as it is typed."""
    return {row[0] for row in made.execute("SELECT code FROM codes WHERE codes MATCH ?", (_match(question),))}


def ranked(made: sqlite3.Connection, question: str) -> list[Any]:
    """The twenty best of FTS5."""
    wanted = "SELECT code FROM codes WHERE codes MATCH ? ORDER BY rank LIMIT 20"
    return made.execute(wanted, (_match(question),)).fetchall()
