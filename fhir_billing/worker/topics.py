"""What an EHR tells of its topic is kept whole, then worked: each event rings for its visit, and its number is counted.

Where a notification came in, only the last thing heard is noted (that the EHR is there, and how many events there were); the
numbers are counted where doorbells are answered. So a note that is lost makes us ask the EHR once more, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from fhir_billing.cycle.looking import Followed, Numbers, Subscribed
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Kind, Message
from fhir_billing.fhir.notification import Notification, Rang, Says, read_notification
from fhir_billing.wiring import Wiring

CHANNELS: Final = ("topic", "websocket")
HELD: Final = "subscriptions"
"""The cursor that holds what the EHR was asked to ring by."""
NUMBERS: Final = "topic-numbers:"
HEARD: Final = "topic-heard:"
KEPT: Final = frozenset({Says.HANDSHAKE, Says.EVENT, Says.EVENTS})


def keep(wiring: Wiring, said: Notification, body: bytes, *, channel: str) -> bool:
    """Note that the EHR is there; keep a handshake and events as they came. Whether something waits now."""
    now = wiring.clock.now()
    if said.subscription:
        noted = {"at": now.isoformat(), "count": said.count}
        wiring.store.set_cursor(f"{HEARD}{said.subscription}", json.dumps(noted))
    if said.says not in KEPT:
        return False
    digest = hashlib.sha256(body).hexdigest()[:32]
    key = f"{channel}:{said.subscription}:{said.says}:{digest}"
    _, new = wiring.store.keep(Kind.DOORBELL, key, body, at=now, channel=channel, name=said.says, who=channel)
    return new


def answer(wiring: Wiring, bell: Message, ring: Callable[..., bool]) -> str:
    """Ring for each visit of a notification that was kept, then count its numbers."""
    said = read_notification("POST", "", "", bell.body)
    blind = any(not event.rang.encounter for event in said.events)
    rings = [*said.rang, *([Rang()] if blind and said.says is not Says.HANDSHAKE else [])]
    new = sum(
        ring(wiring, Sighting(encounter=one.encounter, version=one.version), found_by=bell.channel, at=bell.at)
        for one in rings
    )
    _count(wiring, said)
    if said.says is Says.HANDSHAKE:
        return f"the EHR shook hands on subscription {said.subscription}, after {said.count} events"
    numbers = ", ".join(str(event.number) for event in said.events[:20])
    return f"event {numbers or '?'} of subscription {said.subscription}: {new} visits ring"


def _count(wiring: Wiring, said: Notification) -> None:
    if not said.subscription:
        return
    name = f"{NUMBERS}{said.subscription}"
    before = Numbers.load(wiring.store.cursor(name))
    after = before.begun(said.count) if said.says is Says.HANDSHAKE else before
    for event in said.events:
        after = after.heard(event.number)
    if after != before:
        wiring.store.set_cursor(name, after.dump())


def held(wiring: Wiring) -> list[Subscribed]:
    """What the EHR was asked to ring by."""
    text = wiring.store.cursor(HELD)
    rows: list[dict[str, Any]] = json.loads(text) if text else []
    return [Subscribed(**row) for row in rows]


def hold(wiring: Wiring, subscribed: Sequence[Subscribed]) -> None:
    """Remember what the EHR was asked to ring by."""
    wiring.store.set_cursor(HELD, json.dumps([asdict(one) for one in subscribed]))


@dataclass(frozen=True, slots=True)
class Memory:
    """What triggers may ask the book."""

    wiring: Wiring

    def patients(self, since: date) -> list[str]:
        """The patients who had a visit since then."""
        with self.wiring.store.looking() as book:
            rows = [visit for visit in book.visits() if visit.served_on is None or visit.served_on >= since]
        return list(dict.fromkeys(row.patient for row in rows if row.patient.startswith("Patient/")))

    def followed(self) -> list[Followed]:
        """The topic subscriptions, with what was heard of each."""
        return [self._followed(one) for one in held(self.wiring) if one.way in CHANNELS]

    def _followed(self, one: Subscribed) -> Followed:
        text = self.wiring.store.cursor(f"{HEARD}{one.id}")
        heard: dict[str, Any] = json.loads(text) if text else {}
        at = datetime.fromisoformat(heard["at"]).astimezone(UTC) if heard else None
        numbers = Numbers.load(self.wiring.store.cursor(f"{NUMBERS}{one.id}"))
        return Followed(subscribed=one, numbers=numbers, count=int(heard.get("count", 0)), heard_at=at)
