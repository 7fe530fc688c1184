"""A scenario is written by hand, so every value is read with its place, and a word nobody reads is a mistake.

Values come as text (the file's reader makes no numbers of them): amounts stay exact, `99213` and `0120` stay codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fhir_billing.domain.acknowledgment import StatusCode
from fhir_billing.domain.codes import Group
from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.money import Money, NotMoney, cents

_SPAN = re.compile(r"(\d+) ?(second|minute|hour|day|week)s?")
_SHARE = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))? ?%")
WHOLE = 10_000
"""Shares are hundredths of a percent."""


def wrong(at: str, say: str, fix: str = "") -> MappingInvalid:
    """A complaint about one place of a scenario."""
    return MappingInvalid(f"scenario {at}: {say}", fix=fix)


def share(text: str) -> int | None:
    """A percentage in hundredths of a percent; None when the text is none.

    >>> share("80%"), share("12.5 %"), share("80")
    (8000, 1250, None)
    """
    found = _SHARE.fullmatch(text.strip())
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0") or 0) if found else None


def span(text: str) -> timedelta | None:
    """`14 days`, `2 hours`, `0`; None when the text is none.

    >>> span("14 days"), span("0"), span("soon")
    (datetime.timedelta(days=14), datetime.timedelta(0), None)
    """
    if text.strip() == "0":
        return timedelta(0)
    found = _SPAN.fullmatch(text.strip())
    return timedelta(**{f"{found[2]}s": int(found[1])}) if found else None


def half_up(amount: Money, part: int) -> Money:
    """A share of an amount, rounded to the nearest cent.

    >>> half_up(61000, 2000), half_up(1, 5000), half_up(333, 3333)
    (12200, 1, 111)
    """
    return (amount * part * 2 + WHOLE) // (WHOLE * 2)


def times(amount: Money, units: Decimal) -> Money:
    """A price for so many units."""
    return int((amount * units).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(slots=True)
class Parameters:
    """One mapping of a scenario. Ask it for each word that may stand there, then call `done`."""

    at: str
    values: Mapping[str, Any]
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise wrong(self.at, "a mapping is expected here")

    def place(self, name: str) -> str:
        """Where a word stands."""
        return f"{self.at}.{name}"

    def has(self, name: str) -> bool:
        """Whether the word is there; asking counts as reading."""
        self.asked.add(name)
        return bool(self.values.get(name, "") != "")

    def text(self, name: str, default: str = "") -> str:
        """A word."""
        if not self.has(name):
            return default
        value = self.values[name]
        if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
            raise wrong(self.place(name), "one word is expected here")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A word, or a list of them."""
        if not self.has(name):
            return ()
        value = self.values[name]
        return tuple(str(one) for one in value) if isinstance(value, list | tuple) else (self.text(name),)

    def one_of(self, name: str, known: Sequence[str], default: str) -> str:
        """One of the words that are known."""
        found = self.text(name, default)
        if found not in known:
            raise wrong(self.place(name), f"{found!r} is not known", f"write one of {', '.join(known)}")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """Yes or no, written true or false."""
        return self.one_of(name, ("true", "false"), str(default).lower()) == "true"

    def number(self, name: str, default: int = 0) -> int:
        """A whole number."""
        found = self.text(name, str(default))
        if not (found.isascii() and found.isdigit()):
            raise wrong(self.place(name), f"{found!r} is not a whole number")
        return int(found)

    def amount(self, name: str, default: Money = 0) -> Money:
        """Dollars."""
        if not self.has(name):
            return default
        try:
            return cents(self.text(name))
        except NotMoney as fault:
            raise wrong(self.place(name), str(fault), "write dollars, such as 12.40") from fault

    def part(self, name: str, default: int = 0) -> int:
        """A percentage."""
        if not self.has(name):
            return default
        found = share(self.text(name))
        if found is None or found > WHOLE:
            raise wrong(self.place(name), f"{self.text(name)!r} is not a percentage up to 100", "write it as 20%")
        return found

    def after(self, name: str, default: timedelta | None = None) -> timedelta | None:
        """A span of time."""
        if not self.has(name):
            return default
        found = span(self.text(name))
        if found is None:
            raise wrong(self.place(name), f"{self.text(name)!r} is not a span of time", "write it as 14 days")
        return found

    def reason(self, name: str, default: str) -> tuple[Group, str]:
        """A group and a reason, such as CO-197."""
        group, dash, reason = self.text(name, default).partition("-")
        if group not in set(Group) or not dash or not reason:
            raise wrong(self.place(name), f"{self.text(name)!r} is not a group and a reason", "write it as CO-197")
        return Group(group), reason

    def statuses(self, name: str, default: str) -> tuple[StatusCode, ...]:
        """One to three claim status codes, such as A7:562:85."""
        found = []
        for text in self.texts(name) or (default,):
            category, *rest = text.split(":")
            if len(category) != 2 or len(rest) > 2:
                raise wrong(self.place(name), f"{text!r} is not a claim status", "write it as A7:562:85")
            found.append(
                StatusCode(category=category, status=(rest or [""])[0], entity=rest[1] if len(rest) > 1 else "")
            )
        return tuple(found)

    def below(self, name: str) -> Parameters:
        """The mapping under a word; empty when it is not there."""
        self.asked.add(name)
        return Parameters(self.place(name), self.values.get(name) or {})

    def listed(self, name: str) -> Sequence[Parameters]:
        """The mappings listed under a word."""
        self.asked.add(name)
        found = self.values.get(name) or []
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise wrong(self.place(name), "a list is expected here")
        return [Parameters(f"{self.place(name)}[{count}]", one) for count, one in enumerate(found, 1)]

    def done(self) -> None:
        """Refuse what nobody asked for: it is misspelt, or meant for something else."""
        unknown = [str(name) for name in self.values if name not in self.asked]
        if unknown:
            raise wrong(self.place(unknown[0]), "is not known here", f"known: {', '.join(sorted(self.asked))}")
