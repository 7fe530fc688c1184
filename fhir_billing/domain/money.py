"""Money is whole cents: a bill that is off by a cent is off.

An `int` of cents, so that sums are exact, quick and cannot be mixed with a float: mypy refuses one, and
`cents` refuses text that does not say a whole number of cents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

Money: TypeAlias = int
"""Whole cents of US dollars; negative is money that goes the other way."""

_AMOUNT = re.compile(r"(-?)(\d{0,15})(?:\.(\d{0,2})0*)?", re.ASCII)


class NotMoney(ValueError):
    """Text that does not say a whole number of cents."""


def cents(amount: str | Decimal | int) -> Money:
    """Read an amount in dollars: "125", "-12.5", ".5", Decimal("12.50"); a plus, a comma or a third decimal is refused.

    >>> cents("125"), cents("-12.5"), cents(".05"), cents(Decimal("12.500"))
    (12500, -1250, 5, 1250)
    """
    if isinstance(amount, bool | float):  # house: a float reaches us only past the type checker
        raise NotMoney(f"{amount!r} is not an amount")
    if isinstance(amount, Decimal) and (not amount.is_finite() or not -30 < amount.adjusted() < 16):
        raise NotMoney("an amount has at most fifteen digits before the point")
    text = format(amount, "f") if isinstance(amount, Decimal) else str(amount)
    match = _AMOUNT.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise NotMoney(f"{text[:24]!r} is not an amount with at most two decimals")
    whole = int(match[2] or 0) * 100 + int((match[3] or "").ljust(2, "0") or 0)
    return -whole if match[1] else whole


def show(amount: Money) -> str:
    """Two decimals, no thousands mark: the form of JSON and of reports.

    >>> show(12500), show(-5), show(0)
    ('125.00', '-0.05', '0.00')
    """
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d}"


def spoken(amount: Money) -> str:
    """With dollar sign and thousands marks, for people.

    >>> spoken(124000), spoken(-5)
    ('$1,240.00', '−$0.05')
    """
    sign = "−" if amount < 0 else ""
    return f"{sign}${abs(amount) // 100:,}.{abs(amount) % 100:02d}"


def total(amounts: Iterable[Money]) -> Money:
    """The sum, which is a whole number of cents again."""
    return sum(amounts)


def allocate(amount: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """Share an amount by weights so that no cent is lost; the odd cents go to the first shares.

    >>> allocate(316000, [1] * 12)[:5]
    (26334, 26334, 26334, 26334, 26333)
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must be positive")
    size = abs(amount)
    shares = [size * weight // whole for weight in weights]
    odd = size - sum(shares)
    for position in [i for i, weight in enumerate(weights) if weight][:odd]:
        shares[position] += 1
    return tuple(-share for share in shares) if amount < 0 else tuple(shares)
