"""A search says what it looks for in parameters; one that is not known is refused, for a filter left out shows too much.

`Prefer: handling=lenient` leaves an unknown parameter out instead, and the answer's own address says what was searched.
A further page is asked for by a word that we have signed, for the same app and the same question.
Spec: FHIR R4 §3.1.1 Search: token, reference, date, `_count`, `_total`, `_summary=count`, handling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeTimedSerializer

from fhir_billing.api.fhir.answers import Refused
from fhir_billing.cycle.published import EVERY, PARAMS, Entry, Published, business_system
from fhir_billing.fhir.ours import Resource

FIRST_COUNT: Final = 50
MOST_COUNT: Final = 200
PAGE_LIVES: Final = 3600
MOST_PARAMS: Final = 40
CONTROL: Final = frozenset({"_count", "_total", "_summary", "_format", "_pretty", "_page"})
_TIME = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?)?)?")
_PREFIX = re.compile(r"eq|ne|gt|lt|ge|le|sa|eb|ap")
Test = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one search asks for."""

    kind: str
    params: tuple[tuple[str, str], ...]
    """What was understood, in the order in which it was said."""
    tests: tuple[Test, ...] = ()
    patient: str = ""
    encounter: str = ""
    count: int = FIRST_COUNT
    total: bool = False
    only_count: bool = False
    after: str = ""
    ids: tuple[str, ...] = field(default=())


def asked(kind: str, pairs: Iterable[tuple[str, str]], *, lenient: bool, chart: str, app: str, secret: str) -> Question:
    """The question in a search's parameters. Raises Refused 400."""
    pairs = list(pairs)
    if len(pairs) > MOST_PARAMS:
        raise Refused(400, "too-costly", f"a search has at most {MOST_PARAMS} parameters")
    known: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in CONTROL or (name in searched(kind) and value.strip()):
            known.append((name, value.strip()))
        elif not lenient:
            raise Refused(400, "not-supported", f"a parameter is not known or empty; {kind} has {_names(kind)}")
    said = {name: value for name, value in known if name in CONTROL}
    filters = tuple((name, value) for name, value in known if name not in CONTROL)
    return Question(
        kind=kind,
        params=filters,
        tests=tuple(_test(name, value, chart) for name, value in filters),
        patient=_only(filters, "patient", "Patient", chart),
        encounter=_only(filters, "encounter", "Encounter", chart),
        ids=tuple(next((value.split(",") for name, value in filters if name == "_id"), ())),
        count=_count(said.get("_count", "")),
        total=_word(said, "_total", ("none", "accurate", "estimate"), "none") != "none",
        only_count=_word(said, "_summary", ("false", "count"), "false") == "count" or said.get("_count") == "0",
        after=_after(said.get("_page", ""), secret, _seal_of(kind, filters, app)),
    )


def searched(kind: str) -> tuple[str, ...]:
    """By what a type is searched."""
    return tuple(name for name in (*EVERY, *PARAMS[kind]) if not (kind == "ConceptMap" and name == "_lastUpdated"))


def found(published: Published, question: Question) -> Iterator[Entry]:
    """What the question finds, in a fixed order behind its place."""
    if question.ids:
        rows = (published.entry(question.kind, one) for one in sorted(dict.fromkeys(question.ids)))
        entries: Iterator[Entry] = (e for e in rows if e is not None and (not question.after or e.id > question.after))
    else:
        entries = published.entries(
            question.kind, patient=question.patient, encounter=question.encounter, after=question.after
        )
    return (entry for entry in entries if all(test(entry) for test in question.tests))


def bundle(published: Published, question: Question, *, address: str, app: str, secret: str) -> Resource:
    """One page as a Bundle."""
    own = f"{address}/{question.kind}"
    made: Resource = {"resourceType": "Bundle", "type": "searchset"}
    link = [{"relation": "self", "url": _url(own, [*question.params, ("_count", str(question.count))])}]
    if question.only_count:
        return {**made, "total": _sum(published, question), "link": link}
    rows = list(islice(found(published, question), question.count + 1))
    page = rows[: question.count]
    if question.total or (not question.after and len(rows) <= question.count):
        made["total"] = len(rows) if not question.after and len(rows) == len(page) else _sum(published, question)
    if len(rows) > len(page):
        word = _signer(secret).dumps([_seal_of(question.kind, question.params, app), page[-1].id])
        further = [*question.params, ("_count", str(question.count)), ("_page", str(word))]
        if question.total:
            further.append(("_total", "accurate"))
        link.append({"relation": "next", "url": _url(own, further)})
    entries = [
        {"fullUrl": f"{own}/{e.id}", "resource": published.resource(e), "search": {"mode": "match"}} for e in page
    ]
    return {**made, "link": link, **({"entry": entries} if entries else {})}


def _sum(published: Published, question: Question) -> int:
    from dataclasses import replace

    return sum(1 for _ in found(published, replace(question, after="")))


def _url(own: str, pairs: list[tuple[str, str]]) -> str:
    return f"{own}?{urlencode(pairs)}"


def _signer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="fhir-page")


def _seal_of(kind: str, filters: Iterable[tuple[str, str]], app: str) -> list[Any]:
    from hashlib import sha256

    return [app, kind, sha256(urlencode(list(filters)).encode()).hexdigest()[:32]]


def _after(word: str, secret: str, seal: list[Any]) -> str:
    if not word:
        return ""
    try:
        said = _signer(secret).loads(word, max_age=PAGE_LIVES)
    except BadSignature:
        said = None
    if not isinstance(said, list) or len(said) != 2 or said[0] != seal:
        raise Refused(400, "invalid", "this page is not one that was offered here, or not any more; search again")
    return str(said[1])


def _count(text: str) -> int:
    if not text:
        return FIRST_COUNT
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Refused(400, "invalid", "_count is a whole number")
    return max(1, min(int(text), MOST_COUNT))


def _word(said: dict[str, str], name: str, words: tuple[str, ...], usual: str) -> str:
    found_ = said.get(name, usual)
    if found_ not in words:
        raise Refused(400, "not-supported", f"{name} is one of {', '.join(words)}")
    return found_


def _names(kind: str) -> str:
    return ", ".join(searched(kind))


def _only(filters: Iterable[tuple[str, str]], name: str, kind: str, chart: str) -> str:
    """The one patient or visit that a search is about, where it is about one."""
    wanted = [value for other, value in filters if other == name]
    return _chart_reference(wanted[0], kind, chart) if len(wanted) == 1 and "," not in wanted[0] else ""


def _test(name: str, value: str, chart: str) -> Test:
    words = value.split(",")
    match name:
        case "_id":
            return lambda entry: entry.id in words
        case "_lastUpdated":
            times = [_time_test(word) for word in words]
            return lambda entry: any(test(entry.updated, entry.updated) for test in times)
        case "created":
            times = [_time_test(word) for word in words]
            return lambda entry: any(test(*_span(str(entry.build().get("created", "")))) for test in times)
        case "identifier":
            return lambda entry: any(_token(word, pair) for word in words for pair in entry.identifiers)
        case "patient" | "encounter":
            wanted = {_chart_reference(word, name.capitalize(), chart) for word in words}
            return lambda entry: (entry.patient if name == "patient" else entry.encounter) in wanted
        case "request" | "claim" | "focus":
            wanted = {word.rpartition("Claim/")[2] for word in words}
            return lambda entry: entry.claim in wanted
        case "status":
            return lambda entry: any(_token(word, ("", entry.status), any_system=True) for word in words)
        case "business-status":
            return lambda entry: any(_token(word, (business_system(), entry.business)) for word in words)
        case _:
            return lambda entry: entry.url in words


def _chart_reference(word: str, kind: str, chart: str) -> str:
    word = word.removeprefix(f"{chart.rstrip('/')}/") if chart else word
    return word if "/" in word else f"{kind}/{word}"


def _token(word: str, pair: tuple[str, str], *, any_system: bool = False) -> bool:
    system, bar, value = word.rpartition("|")
    return (not bar or any_system or system == pair[0]) and (value == pair[1] or (bool(bar) and not value))


def _time_test(word: str) -> Callable[[datetime | None, datetime | None], bool]:
    prefix = _PREFIX.match(word)
    how, text = (prefix[0], word[2:]) if prefix else ("eq", word)
    start, end = _span(text)
    if start is None or end is None or how == "ap":
        raise Refused(400, "invalid", "a date is written 2026, 2026-03, 2026-03-02 or 2026-03-02T09:30:00Z")
    tests: dict[str, Callable[[datetime, datetime], bool]] = {
        "eq": lambda low, high: start <= low and high <= end,
        "ne": lambda low, high: not (start <= low and high <= end),
        "gt": lambda low, high: high > end,
        "lt": lambda low, high: low < start,
        "ge": lambda low, high: high >= start,
        "le": lambda low, high: low <= end,
        "sa": lambda low, high: low > end,
        "eb": lambda low, high: high < start,
    }
    return lambda low, high: low is not None and high is not None and tests[how](low, high)


def first_moment(text: str) -> datetime | None:
    """The moment that an instant or a date begins at; None when it is none."""
    return _span(text)[0]


def _span(text: str) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment that a date means."""
    said = _TIME.fullmatch(text.replace(" ", "+"))
    if said is None:
        return None, None
    year, month, day, minute, second, zone = said.groups()
    try:
        if minute:
            start = datetime.fromisoformat(f"{year}-{month}-{day}T{minute}{second or ':00'}{zone or '+00:00'}")
            digits = len((second or "").partition(".")[2])
            step = timedelta(minutes=1) if not second else timedelta(microseconds=10 ** (6 - digits))
            return start, start + step - timedelta(microseconds=1)
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            end = start.replace(year=start.year + 1)
    except (ValueError, OverflowError):
        return None, None
    return start, end - timedelta(microseconds=1)
