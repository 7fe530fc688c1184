"""A question needs several things of an entry, and each of them can be said in several ways.

A word may be typed whole or only begun, be what people say for what tables say, or be mistyped: the ways are kept apart, for
the nearer ones count more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import nlargest
from typing import Final

from fhir_billing.finder.table import Table
from fhir_billing.finder.typing_errors import meant
from fhir_billing.finder.words import asked, words

SHORT: Final = 3
"""A beginning of so few letters may be many words: the commonest are meant."""
Synonyms = Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]]


def synonyms(rows: Iterable[Sequence[str]]) -> Synonyms:
    """Rows of what people say and what tables say, ready for a search."""
    found: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for said, *meanings in rows:
        heard = asked(said)
        found[heard] = (*found.get(heard, ()), *(words(meaning) for meaning in meanings))
    return found


@dataclass(frozen=True)
class Need:
    """One thing that an entry must say, in any of these ways. Which entries do is found when it is asked for."""

    table: Table
    ways: tuple[tuple[str, ...], ...]
    """As it was typed first, then what people mean by it."""
    near: tuple[int, ...] = ()
    """Places of the words that it may have been meant to be."""

    @cached_property
    def exact(self) -> set[int]:
        """Entries that say it as typed, or as tables say it."""
        several = [_all(self.table, [self.table.word(word) for word in way]) for way in self.ways]
        return several[0].union(*several[1:]) if len(several) > 1 else several[0]

    @cached_property
    def begun(self) -> set[int]:
        """The same, and those where its last word is only begun."""
        table, phrase = self.table, self.ways[0]
        return self.exact | _all(table, [*(table.word(w) for w in phrase[:-1]), _beginning(table, phrase[-1])])

    @cached_property
    def loose(self) -> set[int]:
        """The same, and those that say what it may have been meant to be."""
        return self.begun.union(*(self.table.with_word(place) for place in self.near)) if self.near else self.begun

    @cached_property
    def heard(self) -> frozenset[str]:
        """Words that count as said when a title has them."""
        return frozenset(w for way in self.ways for w in way) | {self.table.vocabulary[place] for place in self.near}

    @cached_property
    def starts(self) -> tuple[str, ...]:
        """What a word of a title may begin with."""
        last = self.ways[0][-1]
        return (last,) if len(last) > 1 else ()


def needs_of(table: Table, question: tuple[str, ...], said: Synonyms) -> tuple[Need, ...]:
    """What a question needs, phrase by phrase; the longest phrase that people say for something counts as one."""
    longest = max(map(len, said), default=1)
    found: list[Need] = []
    at = 0
    while at < len(question):
        sizes = range(min(longest, len(question) - at), 1, -1)
        size = next((size for size in sizes if question[at : at + size] in said), 1)
        phrase = question[at : at + size]
        found.append(Need(table, (phrase, *said.get(phrase, ()))))
        at += len(phrase)
    return tuple(found)


def perhaps_mistyped(table: Table, need: Need) -> Need:
    """The same, and what its words would mean with a letter wrong."""
    phrase = need.ways[0]
    near = tuple(place for place, _ in meant(table, phrase[0])) if len(phrase) == 1 else ()
    return replace(need, near=near) if near else need


def _beginning(table: Table, start: str) -> Sequence[int]:
    if len(start) < 2:
        return table.word(start)
    places = table.words_beginning(start)
    return places if len(start) > SHORT else nlargest(8, places, key=lambda place: len(table.with_word(place)))


def _all(table: Table, places: Sequence[Sequence[int]]) -> set[int]:
    """The entries that have a word of each range."""
    found: set[int] | None = None
    for several in sorted(places, key=len):
        here: set[int] = set()
        for place in several:
            here.update(table.with_word(place))
        found = here if found is None else found & here
        if not found:
            return set()
    return found or set()
