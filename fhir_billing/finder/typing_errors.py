"""A mistyped word is a known word with one or two letters wrong, missing, doubled or swapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_billing.finder.table import Table

SHORTEST: Final = 3
"""Below this many letters everything is near to everything."""
MOST: Final = 6
"""Words that one mistyped word may mean."""


def meant(table: Table, word: str) -> list[tuple[int, int]]:
    """Places of the vocabulary that a word may mean beside itself, each with how far it is; the nearest first."""
    if len(word) < SHORTEST or word.isdigit():
        return []
    if not table.letters:
        table.letters.extend(map(letters, table.vocabulary))
    far, mine, size = 2 if len(word) > 4 else 1, letters(word), len(word)
    other = 1 if size > SHORTEST else 0
    found: list[tuple[int, int]] = []
    for place, theirs in enumerate(table.letters):
        if (mine ^ theirs).bit_count() > 2 * far:
            continue
        known = table.vocabulary[place]
        if abs(len(known) - size) > far:
            continue
        apart = distance(word, known, far if known[0] == word[0] else other)
        if apart:
            found.append((apart, place))
    found.sort(key=lambda f: (f[0], table.vocabulary[f[1]][0] != word[0], -len(table.with_word(f[1]))))
    nearest = found[0][0] if found else 0
    return [(place, apart) for apart, place in found[:MOST] if apart == nearest]


def letters(word: str) -> int:
    """Which letters and digits a word has, as bits."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 31)
    return bits


def distance(one: str, other: str, most: int) -> int | None:
    """Letters wrong, missing, too many or swapped with their neighbour; None when more than `most`.

    >>> distance("astma", "asthma", 2), distance("fractrue", "fracture", 2), distance("knee", "hip", 2)
    (1, 1, None)
    """
    before: Sequence[int] = ()
    line: Sequence[int] = range(len(other) + 1)
    for i, a in enumerate(one, 1):
        now = [i]
        for j, b in enumerate(other, 1):
            cost = min(line[j] + 1, now[j - 1] + 1, line[j - 1] + (a != b))
            if before and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            now.append(cost)
        if min(now) > most:
            return None
        before, line = line, now
    return line[-1] if line[-1] <= most else None
