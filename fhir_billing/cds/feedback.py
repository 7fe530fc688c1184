"""What became of a card is heard and kept; it changes no bill, because only the chart says what was written into it.

Spec: CDS Hooks 2.0 "Feedback": card, outcome, acceptedSuggestions, overrideReason, outcomeTimestamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fhir_billing.cds.card import plain
from fhir_billing.cds.request import bounded
from fhir_billing.domain.errors import MalformedResource

ACCEPTED: Final = "accepted"
OVERRIDDEN: Final = "overridden"
MOST: Final = 100
MOST_COMMENT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one person did with one card."""

    card: str
    outcome: str
    at: str
    suggestions: tuple[str, ...] = ()
    reason: str = ""
    comment: str = ""

    def as_facts(self) -> dict[str, object]:
        """As it is kept."""
        return {
            "card": self.card, "outcome": self.outcome, "at": self.at, "suggestions": list(self.suggestions),
            "reason": self.reason, "comment": self.comment,
        }  # fmt: skip


def read_feedback(body: Any) -> list[Heard]:
    """Check what was sent. Raises MalformedResource that names the place."""
    bounded(body)
    entries = body.get("feedback") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST:
        raise _wrong("$.feedback", f"is no list of 1 to {MOST}")
    return [_heard(entry, f"$.feedback[{place}]") for place, entry in enumerate(entries)]


def _heard(entry: Any, at: str) -> Heard:
    if not isinstance(entry, dict):
        raise _wrong(at, "is no object")
    outcome = entry.get("outcome")
    if outcome not in {ACCEPTED, OVERRIDDEN}:
        raise _wrong(f"{at}.outcome", "is neither accepted nor overridden")
    reason, comment = _override(entry.get("overrideReason"), f"{at}.overrideReason")
    return Heard(
        card=_uuid(entry.get("card"), f"{at}.card"),
        outcome=outcome,
        at=_instant(entry.get("outcomeTimestamp"), f"{at}.outcomeTimestamp"),
        suggestions=_suggestions(entry, outcome, at),
        reason=reason,
        comment=comment,
    )


def _suggestions(entry: Mapping[str, Any], outcome: str, at: str) -> tuple[str, ...]:
    found = entry.get("acceptedSuggestions")
    if found is None and outcome == OVERRIDDEN:
        return ()
    at = f"{at}.acceptedSuggestions"
    if not isinstance(found, list) or len(found) > MOST or (outcome == ACCEPTED and not found):
        raise _wrong(at, "is no list of what was accepted")
    return tuple(
        _uuid(one.get("id") if isinstance(one, dict) else None, f"{at}[{place}].id") for place, one in enumerate(found)
    )


def _override(found: Any, at: str) -> tuple[str, str]:
    if found is None:
        return "", ""
    if not isinstance(found, dict):
        raise _wrong(at, "is no object")
    reason, comment = found.get("reason"), found.get("userComment", "")
    if reason is not None and not (isinstance(reason, dict) and isinstance(reason.get("code"), str)):
        raise _wrong(f"{at}.reason", "is no coding")
    if not isinstance(comment, str):
        raise _wrong(f"{at}.userComment", "is no text")
    return plain(reason["code"], 60) if reason else "", plain(comment, MOST_COMMENT)


def _uuid(found: Any, at: str) -> str:
    try:
        return str(UUID(found))
    except (ValueError, AttributeError, TypeError):
        raise _wrong(at, "is no UUID") from None


def _instant(found: Any, at: str) -> str:
    try:
        when = datetime.fromisoformat(found)
    except (ValueError, TypeError):
        raise _wrong(at, "is no time") from None
    if when.tzinfo is None:
        raise _wrong(at, "has no time zone")
    return when.isoformat()


def _wrong(at: str, what: str) -> MalformedResource:
    return MalformedResource(f"{at} {what}", fix="see the CDS Hooks 2.0 specification, Feedback")
