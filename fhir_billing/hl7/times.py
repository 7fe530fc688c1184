"""A time in HL7 v2 is digits, as many as are known; without an offset it is the wall of the place.

Spec: HL7 v2.5.1 chapter 2A: DT, DTM, TS `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`; FHIR R4 dateTime.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

_STAMP = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?)?)?)?(?:([+-])(\d\d)(\d\d))?",
    re.ASCII,
)


def fhir_time(text: str, zone: tzinfo | None = None) -> str:
    """A FHIR date or dateTime; empty for nothing and for what is no time. Without offset and zone only the day is said.

    >>> fhir_time("20260302"), fhir_time("202603020930-0500"), fhir_time("202603020930"), fhir_time("20261399")
    ('2026-03-02', '2026-03-02T09:30:00-05:00', '2026-03-02', '')
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        return ""
    year, month, day, hour, minute, second, sign, hours, minutes = match.groups()
    if not day:
        return f"{year}-{month}" if month and 1 <= int(month) <= 12 else "" if month else year
    try:
        found = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone
        )
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            found = found.replace(tzinfo=timezone(-offset if sign == "-" else offset))
        return found.date().isoformat() if not hour or found.tzinfo is None else found.isoformat()
    except (ValueError, OverflowError):
        return ""
