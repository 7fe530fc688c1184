"""An amount, a day and a deadline read the same on every page.

$1,240.00 in text, 1,240.00 in columns, a true minus; a dash where money does not apply, 0.00 where it is zero.
Days left are counted here, on the server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from fhir_billing.domain.money import Money, spoken
from smart_app.look import REASONS, STATUS, VISITS, WHOM

spoken_money = spoken


def column(amount: Money | None) -> str:
    """An amount for a column.

    >>> column(124000), column(-9276), column(0), column(None)
    ('1,240.00', '−92.76', '0.00', '–')
    """
    return "–" if amount is None else spoken(amount).replace("$", "")


def day(when: date | datetime | None, today: date) -> str:
    """Nov 23, with the year if it is not this one."""
    if when is None:
        return "–"
    year = f", {when.year}" if when.year != today.year else ""
    return f"{when:%b} {when.day}{year}"


def clock(when: datetime | None, zone: tzinfo, today: date) -> str:
    """Nov 18, 9:14 AM in the site's time."""
    if when is None:
        return "–"
    local = when.astimezone(zone)
    hour = local.hour % 12 or 12
    return f"{day(local.date(), today)}, {hour}:{local.minute:02d} {'AM' if local.hour < 12 else 'PM'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A deadline in words, its tone, and how much of the window is used, in percent."""

    words: str
    tone: str
    used: int
    on: date


def deadline(due: date | None, today: date, start: date | None = None) -> Deadline | None:
    """What is left: grey above 14 days, amber to 14, orange to 5, red when it has passed."""
    if due is None:
        return None
    left = (due - today).days
    window = max((due - start).days, 1) if start else 90
    used = max(4, min(100, 100 * (window - left) // window))
    if left < 0:
        late = f"{-left} day{'' if left == -1 else 's'}" if left > -731 else f"{-left // 365} years"
        return Deadline(words=f"{late} late", tone="red", used=100, on=due)
    words = "Today" if left == 0 else f"{left} day{'' if left == 1 else 's'}"
    tone = "orange" if left <= 5 else "amber" if left <= 14 else "grey"
    return Deadline(words=words, tone=tone, used=used, on=due)


def many(count: int, one: str, more: str = "") -> str:
    """A count with its noun.

    >>> many(1, "claim"), many(3, "claim"), many(2, "visit is", "visits are")
    ('1 claim', '3 claims', '2 visits are')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def reason(code: str) -> str:
    """Our own words for a payer's reason; the bare sentence when there are none."""
    return REASONS.get(code, "Reason")


def sentence(text: str) -> str:
    """A sentence begins with a capital and ends with a full stop where it is followed by another.

    >>> sentence("file: it is off")
    'File: it is off'
    """
    return text[:1].upper() + text[1:]


_CARC = re.compile(r"\b(?:CO|PR|OA|PI|CR)-([0-9A-Z]+)\b")
_STC = re.compile(r"\(277(?:CA)? [A-Z]\d+:(\w+)(?::(\w+))?\)")


def in_words(text: str) -> str:
    """A payer's codes get our words in front of them; the codes stay.

    >>> in_words("The payer denied $220.00: CO-27")
    'The payer denied $220.00: coverage had ended CO-27'
    >>> in_words("EXHUB rejected it (277CA A7:562:85)")
    'EXHUB rejected it: the NPI of the billing provider is not known (277CA A7:562:85)'
    """

    def carc(match: re.Match[str]) -> str:
        known = REASONS.get(match[1])
        return f"{known[:1].lower()}{known[1:]} {match[0]}" if known else match[0]

    def stc(match: re.Match[str]) -> str:
        known, whom = STATUS.get(match[1]), WHOM.get(match[2] or "")
        if known and whom:
            known = known.replace(" is ", f" of {whom} is ", 1)
        return f": {known} {match[0]}" if known else f" {match[0]}"

    return _STC.sub(stc, _CARC.sub(carc, text)).replace(" :", ":").replace("  ", " ")


def visit(what: str) -> str:
    """What kind of visit it was."""
    return VISITS.get(what.lower(), sentence(what))


def initials(name: str) -> str:
    """Two letters for a round badge."""
    parts = [part for part in name.replace(",", " ").split() if part]
    return "".join(part[0] for part in parts[:2]).upper() or "?"


def mappings(resource: Mapping[str, Any] | Any) -> str:
    """JSON to read."""
    return json.dumps(resource, indent=2, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of an X12 file as it stands, and whether a finding points at it."""

    text: str
    number: int = 0
    hit: bool = False


_PLACE = re.compile(r"segment (\d+) ([A-Z][A-Z0-9]{1,2}?)(?:\d\d)?\b")


def segments(body: bytes, hits: Iterable[str] = ()) -> list[Segment] | None:
    """The segments of an X12 interchange, one a row; None when this is none. `hits` are findings' places: `segment 21 SVC03`.

    A place counts from the ISA, or from the ST of its own set; the segment's name decides which.
    """
    text = body.decode("utf-8", "replace").lstrip()
    if not text.startswith("ISA") or len(text) < 106:
        return None
    element, terminator = text[3], text[105]
    wanted = {(int(m[1]), m[2]) for place in hits for m in _PLACE.finditer(place)}
    rows, since_st = [], 0
    for number, row in enumerate((r.strip() for r in text.split(terminator) if r.strip()), 1):
        name = row.split(element, 1)[0]
        since_st = 1 if name == "ST" else since_st + 1
        rows.append(
            Segment(text=row + terminator, number=number, hit=bool({(number, name), (since_st, name)} & wanted))
        )
    return rows


def own_set(body: bytes, sets: Iterable[str]) -> list[Segment]:
    """Only the transaction sets with these ST02: a file holds other patients too."""
    found, inside, wanted = [], False, set(sets)
    for segment in segments(body) or []:
        element = segment.text[2:3] or "*"
        parts = segment.text[:-1].split(element)
        if parts[0] == "ST":
            inside = len(parts) > 2 and parts[2] in wanted
        if inside:
            found.append(segment)
        if parts[0] == "SE":
            inside = False
    return found
