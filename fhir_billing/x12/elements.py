"""An element is a date, an amount or a word, and X12 writes each in one way only.

Amounts: a point at most, no plus, no thousands mark, two decimals. Dates: CCYYMMDD. Words: upper case, none of
the four delimiters, only letters of the basic and extended sets.
Spec: X12.6 §3.3 (character sets), §3.5 (R, DT, AN).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time
from decimal import Decimal

from fhir_billing.domain.money import Money, cents
from fhir_billing.x12.guides import day

_QUANTITY = re.compile(r"-?(\d{1,12}(\.\d{0,6})?|\.\d{1,6})")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?\d{0,2}")
_SPOKEN = str.maketrans(
    {
        "ß": "SS", "ẞ": "SS", "Æ": "AE", "æ": "AE", "Œ": "OE", "œ": "OE", "Ø": "O", "ø": "O", "Đ": "D", "đ": "D",
        "Ð": "D", "ð": "D", "Ł": "L", "ł": "L", "Þ": "TH", "þ": "TH", "ı": "I", "’": "'", "‘": "'", "“": '"',
        "”": '"', "–": "-", "—": "-", "\u00a0": " ", "…": "...",
    }
)  # fmt: skip
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !\"&'()+,-./;?=%@[]_{}\\|<>#$`")
"""Basic and extended set, upper case, less the four delimiters that we write: * : ^ ~."""
_ASCII = "".join(chr(code) if chr(code) in _ALLOWED else " " for code in range(128))


def clean(text: str, most: int = 0) -> str:
    """A person's words as X12 can carry them; the original stays where it came from.

    >>> clean("Muñoz"), clean("Łukasz Straße*1"), clean("  two   words ~ ")
    ('MUNOZ', 'LUKASZ STRASSE 1', 'TWO WORDS')
    """
    if text.isascii():
        if text.isalnum():  # the usual case: an identifier, or a name of one word
            return text.upper()[:most] if most else text.upper()
        kept = text.upper().translate(_ASCII)
    else:
        spread = unicodedata.normalize("NFKD", text.translate(_SPOKEN))
        plain = "".join(letter for letter in spread if not unicodedata.combining(letter))
        kept = "".join(letter if letter in _ALLOWED else " " for letter in plain.upper())
    words = " ".join(kept.split())
    return words[:most].rstrip() if most else words


def money(amount: Money) -> str:
    """An amount as X12 likes it: no zeros that say nothing.

    >>> money(12500), money(1250), money(-5), money(0)
    ('125', '12.5', '-.05', '0')
    """
    whole, part = divmod(abs(amount), 100)
    digits = f"{whole or ''}.{part:02d}".rstrip("0").rstrip(".") or "0"
    return f"-{digits}" if amount < 0 else digits


def number(quantity: Decimal) -> str:
    """A quantity without zeros that say nothing.

    >>> number(Decimal("1.50")), number(Decimal(100)), number(Decimal("0.5"))
    ('1.5', '100', '.5')
    """
    text = format(quantity, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text or "0"


def d8(when: date) -> str:
    """CCYYMMDD."""
    return f"{when.year:04d}{when.month:02d}{when.day:02d}"


def rd8(begin: date, end: date) -> str:
    """A range of dates."""
    return f"{d8(begin)}-{d8(end)}"


def dt(when: datetime) -> str:
    """CCYYMMDDHHMM."""
    return f"{d8(when)}{when.hour:02d}{when.minute:02d}"


def read_money(text: str) -> Money | None:
    """An amount in cents; None when the text is none.

    >>> read_money("12.5"), read_money("1,000"), read_money("+1"), read_money("")
    (1250, None, None, None)
    """
    if not text.isascii() or len(text) > 19:
        return None
    try:
        return cents(text)
    except ValueError:
        return None


def read_quantity(text: str) -> Decimal | None:
    """A quantity; None when the text is none."""
    return Decimal(text) if text.isascii() and _QUANTITY.fullmatch(text) else None


def read_span(text: str) -> tuple[date, date] | None:
    """RD8, or one date that stands for both ends; None when it is neither or ends before it begins.

    >>> read_span("20260301-20260302"), read_span("20260302-20260301")
    ((datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)), None)
    """
    begin, _, end = text.partition("-")
    first = day(begin)
    last = day(end) if end else first
    if first is None or last is None or last < first:
        return None
    return first, last


def is_time(text: str) -> bool:
    """HHMM, with seconds if given.

    >>> is_time("2359"), is_time("2400"), is_time("9")
    (True, False, False)
    """
    return bool(_TIME.fullmatch(text)) and text.isascii()


def read_moment(text: str) -> datetime | None:
    """CCYYMMDD or CCYYMMDDHHMM, in the site's own time."""
    on = day(text[:8])
    if on is None:
        return None
    if len(text) == 8:
        return datetime.combine(on, time())
    at = _TIME.fullmatch(text[8:])
    return datetime.combine(on, time(int(at[1]), int(at[2]))) if at else None
