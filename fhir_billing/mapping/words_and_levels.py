"""A site says how its people call things: words for codes, words for charges, and its table of visit levels.

All of it is the site's or our own wording; what procedures are called officially is licensed and stands in none of these files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NoReturn

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.visit_level import Element, LevelRow, PatientKind, VisitLevels
from fhir_billing.mapping.site import known

TABLES: Final = ("diagnosis", "charge")


def read_code_words(document: Mapping[str, Any], where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Rows of what people say and what a table says for it, each with its table."""
    known(document, {"words", "version", "about", "rows"}, where)
    table = str(document["words"])
    if table not in TABLES:
        raise MappingInvalid(f"{where}: words is {table!r}", fix=f"use one of {', '.join(TABLES)}")
    for row in document.get("rows") or ():
        if not isinstance(row, list) or len(row) < 2 or not all(isinstance(cell, str) and cell for cell in row):
            raise MappingInvalid(
                f"{where}: the row {row!r} is not two or more quoted strings",
                fix='write ["heart attack", "myocardial infarction"]',
            )
        yield table, tuple(row)


def read_charge_words(document: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """Code → what this site calls it; the first is shown, all are searched."""
    known(document, {"charge-words", "version", "about", "rows"}, where)
    rows = document.get("rows") or {}
    if not isinstance(rows, Mapping):
        raise MappingInvalid(f"{where}: rows is no table of codes", fix='write "20610": [Injection into a large joint]')
    found: dict[str, tuple[str, ...]] = {}
    for code, words in rows.items():
        if (
            not isinstance(code, str)
            or not isinstance(words, list)
            or not words
            or not all(isinstance(w, str) and w.strip() for w in words)
        ):
            raise MappingInvalid(
                f"{where}: {code!r} has no list of words, or is not quoted",
                fix='write "20610": [Injection into a large joint]',
            )
        found[code] = tuple(words)
    return found


def read_levels(document: Mapping[str, Any], where: str) -> VisitLevels:
    """The site's table of visit levels."""
    known(document, {"visit-levels", "version", "about", "kinds", "grades", "elements", "needed"}, where)
    grades = _strings(document.get("grades"), f"{where} grades")
    elements = tuple(
        _element(one, grades, f"{where} elements") for one in _list(document.get("elements"), f"{where} elements")
    )
    kinds = tuple(_kind(one, grades, f"{where} kinds") for one in _list(document.get("kinds"), f"{where} kinds"))
    needed = document.get("needed")
    if not isinstance(needed, int) or isinstance(needed, bool) or not 1 <= needed <= len(elements):
        _wrong(
            f"{where}: needed is {needed!r}",
            f"say how many of the {len(elements)} elements must reach a grade, such as 2",
        )
    for what, keys in (("kinds", [k.key for k in kinds]), ("elements", [e.key for e in elements])):
        if len(set(keys)) != len(keys):
            _wrong(f"{where}: two {what} have the same key", "give each its own")
    return VisitLevels(
        name=str(document["visit-levels"]),
        version=str(document.get("version", "1")),
        kinds=kinds,
        grades=grades,
        elements=elements,
        needed=needed,
    )


def _element(said: Any, grades: tuple[str, ...], where: str) -> Element:
    known(_mapping(said, where), {"key", "ask", "grades"}, where)
    own = _strings(said.get("grades"), f"{where} {said.get('key')} grades")
    if len(own) != len(grades):
        _wrong(
            f"{where}: {said.get('key')} has {len(own)} grades, the table has {len(grades)}", "describe each grade once"
        )
    return Element(key=_word(said, "key", where), ask=_word(said, "ask", where), grades=own)


def _kind(said: Any, grades: tuple[str, ...], where: str) -> PatientKind:
    known(_mapping(said, where), {"key", "word", "about", "rows"}, where)
    key = _word(said, "key", where)
    rows = tuple(_row(one, grades, f"{where} {key}") for one in _list(said.get("rows"), f"{where} {key} rows"))
    for lower, higher in pairwise(rows):
        if lower.minutes >= higher.minutes or lower.grade >= higher.grade:
            _wrong(
                f"{where}: {key}: {higher.code} is not above {lower.code}",
                "order the rows from the lowest level to the highest",
            )
    return PatientKind(key=key, word=_word(said, "word", where), about=str(said.get("about", "")), rows=rows)


def _row(said: Any, grades: tuple[str, ...], where: str) -> LevelRow:
    known(_mapping(said, where), {"code", "minutes", "grade"}, where)
    minutes, grade = said.get("minutes"), said.get("grade")
    if not isinstance(minutes, int) or isinstance(minutes, bool) or minutes < 0:
        _wrong(
            f"{where}: {said.get('code')!r}: minutes is {minutes!r}", "say from how many minutes on, as a whole number"
        )
    if grade not in grades:
        _wrong(f"{where}: {said.get('code')!r}: grade is {grade!r}", f"use one of {', '.join(grades)}")
    return LevelRow(code=_word(said, "code", where), minutes=minutes, grade=grades.index(str(grade)))


def _word(said: Mapping[str, Any], name: str, where: str) -> str:
    found = said.get(name)
    if not isinstance(found, str) or not found.strip():
        _wrong(f"{where}: {name} is {found!r}", f"{name} is a text in quotes")
    return found


def _strings(said: Any, where: str) -> tuple[str, ...]:
    found = _list(said, where)
    if not all(isinstance(one, str) and one.strip() for one in found):
        _wrong(f"{where}: not all of it is text", "write a list of texts")
    return tuple(found)


def _list(said: Any, where: str) -> list[Any]:
    if not isinstance(said, list) or not said:
        _wrong(f"{where}: it is no list, or an empty one", "see sites/demo/visit-levels.yaml")
    return said


def _mapping(said: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        _wrong(f"{where}: {said!r} is no table", "see sites/demo/visit-levels.yaml")
    return said


def _wrong(say: str, fix: str) -> NoReturn:
    raise MappingInvalid(say, fix=fix)
