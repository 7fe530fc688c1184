"""A visit's level is found by the minutes it took or by how hard the decisions were; a site's own table says which code that is.

By decisions: each element gets a grade, and the level is the grade that enough of them reach, in the usual table two of three.
The finding says how it was found, so that whoever bills can follow it; by itself it changes no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """One code: from how many minutes, and for which grade of decisions (counted from 0)."""

    code: str
    minutes: int
    grade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientKind:
    """New or established: each has codes of its own."""

    key: str
    word: str
    about: str = ""
    rows: tuple[LevelRow, ...]
    """From the lowest level to the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One thing that makes deciding hard, with what each grade looks like."""

    key: str
    ask: str
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitLevels:
    """A site's table."""

    name: str
    version: str
    kinds: tuple[PatientKind, ...]
    grades: tuple[str, ...]
    """The words for the grades, lowest first."""
    elements: tuple[Element, ...]
    needed: int
    """How many elements must reach a grade."""

    def kind(self, key: str) -> PatientKind | None:
        """The kind of patient with this key."""
        return next((kind for kind in self.kinds if kind.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What was found. `code` is empty where the table has none for it."""

    code: str
    how: tuple[str, ...]
    """Sentences."""


def by_time(table: VisitLevels, kind: PatientKind, minutes: int) -> Level:
    """The level of so many minutes on the visit's day."""
    reached = [row for row in kind.rows if row.minutes <= minutes]
    if not reached:
        return Level(
            code="", how=(f"{_minutes(minutes)}: the table begins at {_minutes(kind.rows[0].minutes)} ({kind.word}).",)
        )
    row = reached[-1]
    later = kind.rows[len(reached) :]
    how = [f"{_minutes(minutes)} on the day of the visit, {kind.word.lower()}."]
    if later:
        how.append(
            f"{row.code} is from {_minutes(row.minutes)} on; the next level begins at {_minutes(later[0].minutes)}."
        )
    else:
        how.append(f"{row.code} is from {_minutes(row.minutes)} on, the highest level of the table.")
    return Level(code=row.code, how=tuple(how))


def by_decision(table: VisitLevels, kind: PatientKind, chosen: Mapping[str, int]) -> Level:
    """The level of the chosen grades, by element; an element that is not there reaches none."""
    graded = [(element, chosen[element.key]) for element in table.elements if element.key in chosen]
    how = [f"{element.ask} {element.grades[grade]} ({table.grades[grade].lower()})." for element, grade in graded]
    if len(graded) < table.needed:
        return Level(code="", how=(*how, f"{table.needed} of the {len(table.elements)} are needed to find a level."))
    grade = sorted((g for _, g in graded), reverse=True)[table.needed - 1]
    reach = sum(g >= grade for _, g in graded)
    how.append(f"{reach} of {len(table.elements)} reach {table.grades[grade].lower()}; {table.needed} are needed.")
    row = next((row for row in reversed(kind.rows) if row.grade <= grade), None)
    if row is None:
        return Level(code="", how=(*how, f"The table has no code for that ({kind.word.lower()})."))
    return Level(code=row.code, how=(*how, f"{kind.word}, {table.grades[row.grade].lower()}: {row.code}."))


def _minutes(count: int) -> str:
    return f"{count} minute" if count == 1 else f"{count} minutes"
