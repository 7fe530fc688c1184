"""A question needs several things of an entry, and each of them can be said in several ways.

A word may be typed whole or only begun, be what people say for what tables say, or be mistyped: the ways are kept apart, for
the nearer ones count more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that an entry must say, in any of these ways."""

    ways: tuple[tuple[str, ...], ...]
    exact: frozenset[int]
    begun: frozenset[int]
    mistyped: frozenset[int]
    heard: frozenset[str]
    """Words that count as said when a title has them."""
    starts: tuple[str, ...]


def needs_of(table: Table, question: tuple[str, ...], said: Synonyms) -> tuple[Need, ...]:
    """What a question needs, phrase by phrase; the longest phrase that people say for something counts as one."""
    longest = max(map(len, said), default=1)
    found: list[Need] = []
    at = 0
    while at < len(question):
        sizes = range(min(longest, len(question) - at), 1, -1)
        size = next((size for size in sizes if question[at : at + size] in said), 1)
        phrase = question[at : at + size]
        found.append(_need(table, phrase, said.get(phrase, ())))
        at += len(phrase)
    return tuple(found)


def _need(table: Table, phrase: tuple[str, ...], meanings: tuple[tuple[str, ...], ...]) -> Need:
    ways = (phrase, *meanings)
    exact: set[int] = set()
    for way in ways:
        exact |= _all(table, [table.word(word) for word in way])
    begun = exact | _all(table, [*(table.word(w) for w in phrase[:-1]), _beginning(table, phrase[-1])])
    return Need(
        ways=ways,
        exact=frozenset(exact),
        begun=frozenset(begun),
        mistyped=frozenset(),
        heard=frozenset(w for way in ways for w in way),
        starts=(phrase[-1],) if len(phrase[-1]) > 1 else (),
    )


def perhaps_mistyped(table: Table, need: Need) -> Need:
    """The same, and what its words would mean with a letter wrong."""
    phrase = need.ways[0]
    near = [place for place, _ in meant(table, phrase[0])] if len(phrase) == 1 else []
    if not near:
        return need
    found = {number for place in near for number in table.with_word(place)}
    return replace(need, mistyped=frozenset(found), heard=need.heard | {table.vocabulary[place] for place in near})


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
