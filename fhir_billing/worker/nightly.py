"""Once in each of the site's nights the chart's visits are laid beside the book; each difference is a worklist item, and rings.

What was found is kept as one message before anything rings, under the night's own key: killed at any point, the night begins
again and finds the same, and nothing is opened or kept twice. An EHR that is down is asked again until the next night.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from fhir_billing.cycle.ports import EhrReader, Known, Sighting
from fhir_billing.cycle.reconcile import ABSENT, MISSING, Difference, as_row, compare, judged
from fhir_billing.cycle.records import Kind, Message
from fhir_billing.domain.errors import BillingError, EhrBrokeContract, EhrUnavailable
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring

_log = log("worker")
CURSOR: Final = "reconcile"
AGAIN: Final = "reconcile-again"
BACK: Final = timedelta(days=35)
GRACE: Final = timedelta(minutes=10)
"""What changed within this time is about to be rung for, read and worked."""
EXCUSED: Final = timedelta(days=1)
"""A doorbell that has waited longer than this excuses nothing any more."""
LATELY: Final = timedelta(days=2)
OVERLAP: Final = timedelta(minutes=2)
WAIT: Final = timedelta(minutes=10)
LEASE: Final = timedelta(minutes=45)
"""A run that was killed is begun again after this."""
MOST_ABSENT: Final = 200
"""More visits than this do not vanish in a month: a chart that says so is asked again, and believed by a person only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One comparison."""

    since: date
    until: date
    differences: tuple[Difference, ...]
    agreed: tuple[str, ...]
    """Visits with an open item of which both sides now say the same."""
    theirs: int
    ours: int
    touched: tuple[str, ...] = ()
    """Visits of the book of which a part changed after they were read: they are read again, and nothing is claimed."""
    fresh: int = 0
    """Visits that changed just now, and were not judged."""


def nightly(wiring: Wiring) -> int:
    """Compare once a night, from the site's hour on; how many differences were found."""
    if wiring.ehr is None:
        return 0
    now = wiring.clock.now()
    night, last = night_of(wiring, now).isoformat(), wiring.store.cursor(CURSOR)
    if not last:  # the first night of an installation is the next one
        wiring.store.set_cursor(CURSOR, night)
    if not last or night <= last or now.isoformat() < wiring.store.cursor(AGAIN):
        return 0
    wiring.store.set_cursor(AGAIN, (now + LEASE).astimezone(UTC).isoformat())  # one process at a time
    try:
        run = look(wiring)
    except BillingError as error:
        _log.warning("the chart cannot be compared now", code=error.code)
        wiring.store.set_cursor(AGAIN, (now + WAIT).astimezone(UTC).isoformat())
        return 0
    keep(wiring, run, night)
    wiring.store.set_cursor(CURSOR, night)
    return len(run.differences)


def night_of(wiring: Wiring, now: datetime) -> date:
    """The night that began last, by the date on which it ends."""
    wall = wiring.site.wall(now)
    return wall.date() if wall.hour >= wiring.settings.reconcile_at else wall.date() - timedelta(days=1)


def look(wiring: Wiring, since: date | None = None, until: date | None = None) -> Run:
    """Compare the visits of some days (35 back by default). Raises EhrUnavailable, EhrBrokeContract, ScopeMissing."""
    if wiring.ehr is None:
        raise EhrUnavailable("no EHR is set up", fix="set FHIR_BILLING_EHR_URL")
    now, ehr = wiring.clock.now(), wiring.ehr[0]
    until = until or wiring.site.local(now)
    since = since or until - BACK
    counted = _Counted()
    ours = list(wiring.store.known(since, until))
    waiting = {_encounter(bell.body) for bell in _waiting(wiring, now)}
    fresh: set[str] = set()

    def young(seen: Sighting) -> bool:
        if not is_young(seen, now):
            fresh.discard(seen.encounter)
            return False
        fresh.add(seen.encounter)
        return True

    first = compare(counted.each(ehr.visits(since, until)), ours, waiting=waiting, is_young=young)
    differences = _sure(wiring, ehr, list(first))
    found = {one.encounter for one in differences}
    touched = _touched(wiring, ehr, {one.encounter: one for one in ours}, until, found | waiting)
    agreed = tuple(_agreed(wiring, ehr, found | waiting))
    return Run(
        since=since, until=until, differences=tuple(differences), agreed=agreed, theirs=counted.n, ours=len(ours),
        touched=tuple(touched), fresh=len(fresh),
    )  # fmt: skip


def is_young(sighting: Sighting, now: datetime) -> bool:
    """Whether the chart changed just now; a clock that is far off excuses nothing."""
    try:
        return abs(now - datetime.fromisoformat(sighting.at)) < GRACE
    except (ValueError, TypeError):
        return False


class _Counted:
    n = 0

    def each(self, sightings: Iterator[Sighting]) -> Iterator[Sighting]:
        """The same, counted."""
        for sighting in sightings:
            self.n += 1
            yield sighting


def _waiting(wiring: Wiring, now: datetime) -> Iterator[Message]:
    """Doorbells that wait, also those that are to be tried later."""
    for bell in wiring.store.doorbells(now + timedelta(days=400)):
        if now - bell.at < EXCUSED:
            yield bell


def _encounter(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("encounter", "")) if isinstance(found, dict) else ""


def _known(wiring: Wiring, encounter: str) -> Known | None:
    with wiring.store.looking() as book:
        visit = book.visit(encounter)
    return Known(encounter=encounter, version=visit.version, outcome=visit.outcome) if visit else None


def _sure(wiring: Wiring, ehr: EhrReader, differences: list[Difference]) -> list[Difference]:
    """A list may leave something out: what it does not show is read by itself, and what is new is looked up whatever its day."""
    absent = [one for one in differences if one.status == ABSENT]
    if len(absent) > MOST_ABSENT:
        raise EhrBrokeContract(
            f"the EHR does not show {len(absent)} visits that the book has", fix="look whether the chart is whole"
        )
    sure = []
    for one in differences:
        if one.status == ABSENT:
            seen = ehr.sight(one.encounter) or Sighting(encounter=one.encounter, status=ABSENT)
        else:
            seen = Sighting(encounter=one.encounter, version=one.version, status=one.status)
        again = judged(seen, _known(wiring, one.encounter)) if one.kind == MISSING or one.status == ABSENT else one
        if again is not None:
            sure.append(again)
    return sorted(sure, key=lambda one: (one.kind, one.encounter))


def _touched(wiring: Wiring, ehr: EhrReader, ours: Mapping[str, Known], until: date, not_these: set[str]) -> list[str]:
    """A charge may be corrected while its visit keeps its version: such a visit is read again, if it was read before."""
    seen: dict[str, bool] = {}
    for part in ehr.touched(until - LATELY):
        if part.encounter in not_these or seen.get(part.encounter):
            continue
        known = ours.get(part.encounter) or _known(wiring, part.encounter)
        seen[part.encounter] = known is not None and _is_after(part.at, known.read_at)
    return sorted(encounter for encounter, again in seen.items() if again)


def _is_after(at: str, read_at: datetime | None) -> bool:
    try:
        return read_at is None or datetime.fromisoformat(at) > read_at - OVERLAP
    except (ValueError, TypeError):
        return True


def _agreed(wiring: Wiring, ehr: EhrReader, not_these: set[str]) -> Iterator[str]:
    with wiring.store.looking() as book:
        stands = {one.encounter for one in book.differences(only_open=True)}
    for encounter in sorted(stands - not_these):
        seen = ehr.sight(encounter) or Sighting(encounter=encounter, status=ABSENT)
        if judged(seen, _known(wiring, encounter)) is None:
            yield encounter


def keep(wiring: Wiring, run: Run, night: str) -> None:
    """Keep the run as a message, then ring for each difference that can be read."""
    now = wiring.clock.now()
    said = {
        "timer": "reconcile", "night": night, "since": run.since.isoformat(), "until": run.until.isoformat(),
        "theirs": run.theirs, "ours": run.ours, "agreed": list(run.agreed),
        "differences": [as_row(one) for one in run.differences],
    }  # fmt: skip
    body = json.dumps(said, separators=(",", ":")).encode()
    message, _ = wiring.store.keep(Kind.TIMER, f"reconcile:{night}", body, at=now)
    for row in json.loads(message.body)["differences"]:
        if row.get("status") != ABSENT:  # there is nothing to read: a person decides what a lost chart means
            _ring(wiring, row["encounter"], row.get("version", ""), night, now)
    for encounter in run.touched:
        _ring(wiring, encounter, "", night, now)


def _ring(wiring: Wiring, encounter: str, version: str, night: str, now: datetime) -> None:
    """Once a night for a visit, also when another bell for this version was answered before."""
    bell = {"encounter": encounter, "version": version, "found_by": CURSOR}
    key = f"{encounter}:{version}:{CURSOR}:{night}"
    wiring.store.keep(Kind.DOORBELL, key, json.dumps(bell).encode(), at=now, channel=CURSOR, who=CURSOR)
