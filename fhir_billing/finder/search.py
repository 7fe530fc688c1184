"""A search goes from the exact to the near: all words as typed, then begun words, then mistyped ones, then all words but one.

What this patient's chart already says stands first, then what the clinician keeps at hand, then what they used before, and
only then what the words alone make likely. A code that was typed exactly beats all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from heapq import nsmallest
from itertools import combinations
from typing import Final

from fhir_billing.finder.needs import Need, Synonyms, needs_of, perhaps_mistyped
from fhir_billing.finder.table import Table, plain_code
from fhir_billing.finder.words import WEIGHTLESS, asked, outside_brackets, words

LOOKED_AT: Final = 150
"""Entries whose words are compared one by one; the numbers of a table put the likely ones first."""
MISTYPED: Final = 3
ALL_BUT_ONE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """What is near to this clinician and this patient: codes without dot."""

    chart: Mapping[str, str] = field(default_factory=dict)
    """Code → where the chart says it."""
    favourites: Collection[str] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    """Code → how often this clinician chose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One line of an answer."""

    code: str
    title: str
    billable: bool
    """Whether it may be picked; a heading opens what is below it."""
    why: str = ""
    """`chart`, `favourite` or `used`; empty: the words."""
    evidence: str = ""
    said: str = ""
    """Other words for the code that were nearer to the question than its title."""
    score: float = 0.0


def search(
    table: Table,
    question: str,
    *,
    on: date | None = None,
    mine: Mine | None = None,
    said: Synonyms | None = None,
    allowed: Collection[str] | None = None,
    most: int = 20,
) -> list[Hit]:
    """The codes most likely meant, the likeliest first. `allowed`: the site's own list of what can be billed."""
    mine = mine or Mine()
    known = [n for c in (*mine.chart, *mine.favourites, *mine.used) if (n := table.find(c)) is not None]
    typed = plain_code(question[:40])
    by_code = table.beginning(typed, most) if typed and _like_code(table, typed) else []
    needs = needs_of(table, asked(question), said or {})
    reached: dict[int, int] = {}
    if by_code:
        needs = ()
    else:
        needs, reached = _reached(table, needs, known)
        if not question.strip():
            reached = dict.fromkeys(known, 0)
    look = _Look(table, on, mine, allowed)
    hits = {n: look.hit(n, needs, tier) for n, tier in reached.items() if table.valid(n, on)}
    hits.update({n: look.hit(n, needs, 0) for n in by_code if table.valid(n, on)})
    code_first = {n: place for place, n in enumerate(by_code)}

    def order(number: int) -> tuple[float, ...]:
        hit = hits[number]
        near = {"chart": 0, "favourite": 1, "used": 2}.get(hit.why, 3)
        exact = hit.code == typed
        used = -mine.used.get(hit.code, 0) if near == 2 else 0
        return (not exact, near, number not in code_first, code_first.get(number, 0), used, -hit.score, number)

    return [hits[number] for number in nsmallest(most, hits, key=order)]


def opened(
    table: Table, code: str, *, on: date | None = None, mine: Mine | None = None, allowed: Collection[str] | None = None
) -> list[Hit]:
    """What stands under a heading; headings that lead to one code only are passed through."""
    number = table.find(code)
    if number is None:
        return []
    below = table.children(number)
    while len(below) == 1 and not table.billable[below[0]]:
        below = table.children(below[0])
    look = _Look(table, on, mine or Mine(), allowed)
    return [look.hit(n, (), 0) for n in below if table.valid(n, on)]


def _like_code(table: Table, typed: str) -> bool:
    return (
        typed.isalnum()
        and typed.isascii()
        and (len(typed) > 2 or table.find(typed) is not None)
        and any(c.isdigit() for c in typed)
    )


# ---- what a question reaches


Tier = list[list[set[int]]]


def _reached(table: Table, needs: tuple[Need, ...], known: Sequence[int]) -> tuple[tuple[Need, ...], dict[int, int]]:
    """Entry → how far from the exact words it was found; the likely ones, and those that are near to whoever asks.

    Answers with the needs too: where nothing says the words as typed, what they may have been meant to be is heard as well.
    """
    found: dict[int, int] = {}
    if not needs:
        return needs, found
    for tier, several in enumerate(_tiers(needs)):
        _gather(found, several, known, tier)
        if len(found) >= LOOKED_AT:
            break
    if not found and len(needs) > 1 and needs[-1].ways == ((needs[-1].ways[0][0][:1],),):
        return _reached(table, needs[:-1], known)  # the next word has only begun
    if not found:
        needs = tuple(perhaps_mistyped(table, n) for n in needs)
        loose: list[set[int]] = [n.loose for n in needs]
        _gather(found, [loose], known, MISTYPED)
        said = [some for some in loose if some]
        if not found and 0 < len(said) < len(loose):
            _gather(found, [said], known, ALL_BUT_ONE)  # some words are in no title at all
        if not found and len(said) > 1:
            _gather(found, [list(some) for some in combinations(said, len(said) - 1)], known, ALL_BUT_ONE)
    return needs, found


def _tiers(needs: tuple[Need, ...]) -> Iterator[Tier]:
    """From exact to begun; what is not asked for is not looked up."""
    yield [[n.exact for n in needs]]
    yield [[*(n.exact for n in needs[:-1]), needs[-1].begun]]
    yield [[n.begun for n in needs]]


def _gather(found: dict[int, int], several: Tier, known: Sequence[int], tier: int) -> None:
    for some in several:
        both = _common(some)
        for number in (*(n for n in known if n in both), *_first(both)):
            found.setdefault(number, tier)


def _common(several: Sequence[set[int]]) -> set[int]:
    ordered = sorted(several, key=len)
    first = ordered[0]
    for other in ordered[1:]:
        first = first & other
    return first


def _first(numbers: Collection[int]) -> Iterable[int]:
    return numbers if len(numbers) <= LOOKED_AT else nsmallest(LOOKED_AT, numbers)


# ---- how well an entry says it


@dataclass(frozen=True, slots=True)
class _Look:
    """How one person looks at the table that day."""

    table: Table
    on: date | None
    mine: Mine
    allowed: Collection[str] | None

    def hit(self, number: int, needs: tuple[Need, ...], tier: int) -> Hit:
        """The entry as an answer, with how well it says what was asked."""
        table, mine = self.table, self.mine
        code, title = table.codes[number], table.titles[number]
        best, score = title, 0.0
        for text in table.says(number):
            fits = _fit(text, needs)
            if fits > score + (0.2 if best is title else 0):
                best, score = text, fits
        billable = bool(table.billable[number]) and (self.allowed is None or code in self.allowed)
        why = (
            "chart"
            if code in mine.chart
            else "favourite"
            if code in mine.favourites
            else "used"
            if code in mine.used
            else ""
        )
        return Hit(
            code=code,
            title=title,
            billable=billable,
            why=why,
            evidence=mine.chart.get(code, ""),
            said="" if best is title else best,
            score=score - tier * 0.6 - (0 if billable else 0.4),
        )


def _fit(text: str, needs: tuple[Need, ...]) -> float:
    """The share of what a text says that was asked for, and of what was asked for that it says."""
    if not needs:
        return 0.0
    said = words(outside_brackets(text)) or words(text)
    heard: set[str] = set().union(*(n.heard for n in needs))
    starts = tuple(s for n in needs for s in n.starts)
    weight = hit = 0.0
    for word in said:
        mine = word in heard
        part = 0.0 if mine else 0.7 if starts and word.startswith(starts) else -1.0
        full = 1.0 if mine else WEIGHTLESS.get(word, 1.0)
        weight += full
        hit += full * (1.0 if mine else max(part, 0.0))
    met = sum(_met(n, said) for n in needs) / len(needs)
    leads = 0.1 if said and (said[0] in heard) else 0.0
    return (hit / weight if weight else 0.0) + met + leads


def _met(need: Need, said: tuple[str, ...]) -> float:
    if any(all(word in said for word in way) for way in need.ways):
        return 1.0
    if need.near and any(word in need.heard for word in said):
        return 0.8
    return 0.7 if need.starts and any(word.startswith(need.starts) for word in said) else 0.0
