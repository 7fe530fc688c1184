"""The day of service is a day on the wall of the place where it happened.

A dateTime with an offset is an instant; which day it was depends on the site. Some charts write each time with the
offset of the place itself: there the day is the one that is written. Dates may be partial, and then are no day.
Spec: FHIR R4 dateTime; 837 DTP are local dates.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

AS_WRITTEN = "as-written"
FIRST_YEAR, LAST_YEAR = 1850, 2199
"""Outside, a date is a slip of the keyboard (9999-12-31), and no window can be counted from it."""


class LocalDays:
    """Turns FHIR times into the site's own days and wall times."""

    __slots__ = ("_days", "zone")

    def __init__(self, timezone: str) -> None:
        self.zone: tzinfo | None = None if timezone == AS_WRITTEN else ZoneInfo(timezone)
        self._days = lru_cache(maxsize=4096)(self._day)

    def day(self, text: str | None) -> date | None:
        """The local day of a date or dateTime; None for nothing, a partial date, what is no date, or no year of ours."""
        found = self._days(text) if text else None
        return found if found and FIRST_YEAR <= found.year <= LAST_YEAR else None

    def _day(self, text: str) -> date | None:
        if len(text) == 10 or (self.zone is None and len(text) > 10):
            try:
                return date.fromisoformat(text[:10])
            except ValueError:
                return None
        found = self.wall(text)
        return found.date() if found else None

    def wall(self, text: str | None) -> datetime | None:
        """The local wall time of a dateTime, without offset; None for a date alone."""
        if not text or len(text) <= 10:
            return None
        try:
            return self.of(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return None

    def of(self, moment: datetime) -> datetime:
        """The local wall time of an instant."""
        if self.zone is not None and moment.tzinfo is not None:
            moment = moment.astimezone(self.zone)
        return moment.replace(tzinfo=None)


def partial(text: str) -> bool:
    """Whether it is a year or a month alone: allowed, and no day.

    >>> partial("2026-03"), partial("2026-13"), partial("soon")
    (True, False, False)
    """
    try:
        return len(text) in {4, 7} and bool(date.fromisoformat(text + "-01-01"[len(text) - 10 :]))
    except ValueError:
        return False
