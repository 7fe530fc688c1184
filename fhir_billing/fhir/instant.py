"""An instant stands with its zone; EHRs write others too, and what cannot be read is none, for nobody may guess it.

Spec: FHIR R4 instant; ISO 8601, whose leap second :60 is read as the second after :59.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_LEAP = re.compile(r"(T\d\d:\d\d):60(?!\d)")
_FIRST_YEAR = 1900
"""What is older was never written down: it is some program's zero."""


def instant(text: object) -> datetime | None:
    """The instant in UTC; None when this is none.

    >>> instant("2026-06-30T23:59:60+00:00")
    datetime.datetime(2026, 7, 1, 0, 0, tzinfo=datetime.timezone.utc)
    >>> instant("2026-06-30T23:59:59") is None
    True
    """
    if not isinstance(text, str):
        return None
    plain, leaps = _LEAP.subn(r"\1:59", text, count=1)
    try:
        found = datetime.fromisoformat(plain)
        if found.tzinfo is None:
            return None
        found = (found + timedelta(seconds=leaps)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year >= _FIRST_YEAR else None
