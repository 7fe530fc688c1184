"""Where each way of finding visits stands, in words: a way that rings was heard or was not, an export is under way or is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fhir_billing.wiring import Wiring
from fhir_billing.worker import topics
from smart_app.connection import Way

RINGING: Final = frozenset({"hook", "hl7v2", "cds-hook"})


def standing(wiring: Wiring, name: str) -> Way:
    """How far one way has looked, by its mark in the store."""
    word = name.partition("=")[0]
    mark = wiring.store.cursor(f"ehr:{word}")
    if word in topics.CHANNELS:
        return Way(name=name, say=_heard(wiring, word, _opened(mark)))
    if word == "bulk":
        return _exported(name, _opened(mark))
    at = _instant(mark)
    return Way(name=name, at=at, say="" if at else "keeps no time" if mark else "rings by itself" * (word in RINGING))


def _heard(wiring: Wiring, way: str, places: dict[str, Any]) -> str:
    now = wiring.clock.now()
    followed = [one for one in topics.Memory(wiring).followed() if one.subscribed.way == way]
    if not followed:
        return "the EHR holds no subscription"
    one = followed[0]
    place = places.get(one.subscribed.id)
    well = _instant(str(place.get("well", ""))) if isinstance(place, dict) else None
    if isinstance(place, dict) and place.get("broken") is True:
        return f"in error; all was well {_ago(now, well)}" if well else "in error"
    return f"heard {_ago(now, one.heard_at)}" if one.heard_at else "never heard"


def _exported(name: str, job: dict[str, Any]) -> Way:
    if job.get("status"):
        return Way(name=name, say="an export is under way")
    at = _instant(str(job.get("since", "")))
    return Way(name=name, at=at, say="waits for its next export" if job and at is None else "")


def _ago(now: datetime, then: datetime) -> str:
    """How long ago, in the words of a glance.

    >>> _ago(datetime(2026, 3, 2, 9, 5), datetime(2026, 3, 2, 9, 3, 20))
    '1 minute ago'
    """
    past = max(now - then, timedelta())
    for word, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if count := past // size:
            return f"{count} {word}{'s' * (count > 1)} ago"
    return "less than a minute ago"


def _opened(mark: str) -> dict[str, Any]:
    try:
        found = json.loads(mark)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
