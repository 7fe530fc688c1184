"""A code table is a tree of codes with titles: some can be billed, the others are headings that lead to them.

Each entry is kept under a number, and numbers go from the plainest title to the longest, so that the first of any set of
numbers are the ones most likely meant. Words lead to numbers by one flat list; that is small, and read in a moment.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec

from fhir_billing.finder.words import WEIGHTLESS, outside_brackets, words

SHAPE: Final = 1
"""The shape of a packed table; another one is not read."""
NOWHERE: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One code, as its source has it."""

    code: str
    """Without dot."""
    title: str
    billable: bool = True
    terms: tuple[str, ...] = ()
    """Other words for the same code."""
    parent: str = ""
    start: str = ""
    """The first day it may be used, ISO; empty: always."""
    end: str = ""
    """The last day."""


@dataclass(slots=True, kw_only=True)
class Table:
    """A compiled table; see `pack`."""

    system: str
    """The codes' system, FHIR URI."""
    edition: str
    """What the source calls itself: 2026, from April 1."""
    ends: str
    """The last day for which this edition speaks, ISO; empty: no end."""
    codes: Sequence[str]
    titles: Sequence[str]
    terms: dict[int, tuple[str, ...]]
    spans: dict[int, tuple[str, str]]
    billable: bytes
    parents: array[int]
    by_code: array[int]
    """Numbers in order of codes."""
    vocabulary: list[str]
    """All words, sorted."""
    starts: array[int]
    postings: array[int]
    letters: list[int] = field(default_factory=list)
    """Which letters a word has, as bits: read when somebody misspells."""

    def __len__(self) -> int:
        """How many entries."""
        return len(self.codes)

    def find(self, code: str) -> int | None:
        """The number of a code, with or without dot."""
        wanted = plain_code(code)
        place = self._place(wanted)
        if place < len(self.by_code) and self.codes[self.by_code[place]] == wanted:
            return self.by_code[place]
        return None

    def beginning(self, code: str, most: int) -> list[int]:
        """Numbers of codes that begin so, in order of codes."""
        wanted = plain_code(code)
        found: list[int] = []
        for place in range(self._place(wanted), len(self.by_code)):
            if len(found) == most or not self.codes[self.by_code[place]].startswith(wanted):
                break
            found.append(self.by_code[place])
        return found

    def _place(self, code: str) -> int:
        return bisect_left(self.by_code, code, key=lambda number: self.codes[number])

    def children(self, number: int) -> list[int]:
        """What stands right under a heading, in order of codes."""
        code = self.codes[number]
        near = range(self._place(code), len(self.by_code))
        found: list[int] = []
        for place in near:
            below = self.by_code[place]
            if not self.codes[below].startswith(code):
                break
            if self.parents[below] == number:
                found.append(below)
        return found

    def parent(self, number: int) -> int | None:
        """The heading above."""
        return None if self.parents[number] == NOWHERE else self.parents[number]

    def valid(self, number: int, on: date | None) -> bool:
        """Whether the code may be used that day."""
        if on is None or number not in self.spans:
            return True
        start, end = self.spans[number]
        day = on.isoformat()
        return (not start or start <= day) and (not end or day <= end)

    def with_word(self, place: int) -> array[int]:
        """The numbers of entries that have the word at this place of the vocabulary."""
        return self.postings[self.starts[place] : self.starts[place + 1]]

    def word(self, word: str) -> range:
        """The place of a word, as a range of one or none."""
        place = bisect_left(self.vocabulary, word)
        return range(place, place + (place < len(self.vocabulary) and self.vocabulary[place] == word))

    def words_beginning(self, start: str) -> range:
        """The places of the words that begin so."""
        return range(bisect_left(self.vocabulary, start), bisect_left(self.vocabulary, start + "\U0010ffff"))

    def says(self, number: int) -> Iterator[str]:
        """Its title, then its other words."""
        yield self.titles[number]
        yield from self.terms.get(number, ())


def plain_code(code: str) -> str:
    """A code as tables have it: upper case, no dot, no blanks."""
    return "".join(code.split()).replace(".", "").upper()


# ---- making one


def build(entries: Iterable[Entry], *, system: str, edition: str, ends: str = "") -> Table:
    """Number the entries from plain to long, and note which words lead to them."""
    ordered = sorted(entries, key=lambda e: (_length(e), e.code))
    numbers = {entry.code: number for number, entry in enumerate(ordered)}
    index: dict[str, list[int]] = {}
    for number, entry in enumerate(ordered):
        for word in {w for text in (entry.title, *entry.terms) for w in words(text)}:
            index.setdefault(word, []).append(number)
    vocabulary = sorted(index)
    starts, postings = array("I", [0]), array("I")
    for word in vocabulary:
        postings.extend(index[word])
        starts.append(len(postings))
    return Table(
        system=system,
        edition=edition,
        ends=ends,
        codes=[e.code for e in ordered],
        titles=[e.title for e in ordered],
        terms={n: e.terms for n, e in enumerate(ordered) if e.terms},
        spans={n: (e.start, e.end) for n, e in enumerate(ordered) if e.start or e.end},
        billable=bytes(e.billable for e in ordered),
        parents=array("I", [numbers.get(e.parent, NOWHERE) for e in ordered]),
        by_code=array("I", sorted(range(len(ordered)), key=lambda n: ordered[n].code)),
        vocabulary=vocabulary,
        starts=starts,
        postings=postings,
    )


def _length(entry: Entry) -> int:
    """Words that carry weight, in the shortest way to say it."""
    return min(
        sum(word not in WEIGHTLESS for word in words(outside_brackets(text))) or 9
        for text in (entry.title, *entry.terms)
    )


_ARRAYS: Final = ("parents", "by_code", "starts", "postings")
_LISTS: Final = ("codes", "titles", "vocabulary")


def pack(table: Table) -> bytes:
    """The table as bytes."""
    said: dict[str, Any] = {
        "shape": SHAPE,
        "system": table.system,
        "edition": table.edition,
        "ends": table.ends,
        "terms": {str(number): list(terms) for number, terms in table.terms.items()},
        "spans": {str(number): list(span) for number, span in table.spans.items()},
        "billable": table.billable,
        **{name: "\n".join(getattr(table, name)) for name in _LISTS},
        **{name: _bytes(getattr(table, name)) for name in _ARRAYS},
    }
    return zlib.compress(msgspec.msgpack.encode(said), 9)


def unpack(packed: bytes) -> Table:
    """The table again. Raises ValueError for bytes that are no table of this shape."""
    try:
        said = msgspec.msgpack.decode(zlib.decompress(packed))
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError("these bytes are no code table") from error
    if not isinstance(said, dict) or said.get("shape") != SHAPE:
        raise ValueError("this code table has another shape; set-up makes it again")
    numbers = {name: _array(said[name]) for name in _ARRAYS}
    return Table(
        system=said["system"],
        edition=said["edition"],
        ends=said["ends"],
        terms={int(number): tuple(terms) for number, terms in said["terms"].items()},
        spans={int(number): (start, end) for number, (start, end) in said["spans"].items()},
        billable=said["billable"],
        codes=said["codes"].split("\n"),
        titles=said["titles"].split("\n"),
        vocabulary=said["vocabulary"].split("\n"),
        parents=numbers["parents"],
        by_code=numbers["by_code"],
        starts=numbers["starts"],
        postings=numbers["postings"],
    )


def _bytes(numbers: array[int]) -> bytes:
    return array("I", numbers).tobytes() if _LITTLE else _swapped(numbers).tobytes()


def _array(packed: bytes) -> array[int]:
    numbers = array("I")
    numbers.frombytes(packed)
    return numbers if _LITTLE else _swapped(numbers)


def _swapped(numbers: array[int]) -> array[int]:
    turned = array("I", numbers)
    turned.byteswap()
    return turned


_LITTLE: Final = array("H", [1]).tobytes()[0] == 1
"""Whether this machine writes its numbers as the file has them."""
