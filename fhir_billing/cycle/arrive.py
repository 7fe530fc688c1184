"""A file arrives: its bytes are kept before anything looks at them, then it is worked, and the answer says what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_billing.cycle.ports import Store
from fhir_billing.cycle.records import Kind, Message, Outcome
from fhir_billing.cycle.work import work_all
from fhir_billing.mapping.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of one file."""

    file: str
    sha256: str
    kind: str
    outcome: str
    claims: tuple[str, ...]
    say: str
    complaints: tuple[str, ...] = ()
    """Each finding as `PLACE: what; fix`, for standard error."""


def receive(store: Store, site: Site, *, name: str, body: bytes, at: datetime, channel: str, who: str = "") -> Received:
    """Keep a payer's file and work it before returning. The same bytes again are a duplicate; the arrival is noted."""
    digest = hashlib.sha256(body).hexdigest()
    kept, new = store.keep(Kind.FILE, digest, body, at=at, channel=channel, name=name, who=who)
    work_all(store, site)
    with store.begin() as book:
        worked = book.message(kept.id) or kept
    outcome, say = worked.outcome, worked.say
    if not new and outcome not in {Outcome.QUARANTINED, Outcome.WAITING, Outcome.TEST}:
        outcome, say = Outcome.DUPLICATE, f"These bytes arrived before and were worked then: {worked.say}"
    return Received(
        file=name,
        sha256=digest,
        kind=kind_of(worked),
        outcome=outcome.value,
        claims=worked.claims,
        say=say,
        complaints=tuple(_complaint(finding) for finding in worked.findings),
    )


def _complaint(finding: Mapping[str, object]) -> str:
    place, say, fix = (str(finding.get(name) or "") for name in ("at", "say", "fix"))
    say = say.removeprefix(f"{place}: ")
    return f"{place + ': ' if place else ''}{say}{'; ' + fix if fix else ''}"


def kind_of(message: Message) -> str:
    """What an X12 file is, by the sets that begin in it, whole or cut; `unknown` for what cannot be read."""
    from fhir_billing.x12.envelope import read

    reading = read(message.body)
    only_notes = any(one.notes for one in reading.interchanges)
    return ",".join(reading.seen_kinds) or ("TA1" if only_notes else "unknown")
