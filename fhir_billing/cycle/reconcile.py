"""Bells are missed, answered too early or lost; once a night the chart's visits are laid beside the book, and each difference is work.

What differs is found by reading both sides, kept as one message (the run), and worked like any other, so that a replay finds
the same worklist. An item is opened once, and closed when both sides agree again, or by a person who says why not.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from fhir_billing.cycle.ports import Known, Sighting
from fhir_billing.cycle.records import DifferenceRecord, Outcome
from fhir_billing.cycle.turn import Result, Turn, facts
from fhir_billing.domain.errors import MalformedResource, NotAMove, OverrideNeedsReason

MISSING: Final = "missing"
CHANGED: Final = "changed"
GONE: Final = "gone"
KINDS: Final = (MISSING, CHANGED, GONE)
FINISHED: Final = "finished"
ABSENT: Final = "absent"
"""What the chart says of a visit that it does not hold any more."""
TAKEN_BACK: Final = "voided"
US: Final = "fhir-billing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One visit of which the chart and the book do not say the same."""

    encounter: str
    kind: str
    version: str = ""
    """The chart's version of it."""
    status: str = ""
    """The chart's status of it."""
    ours: str = ""
    """What the book says: the version that was read, or what became of the visit."""

    @property
    def say(self) -> str:
        """In a sentence; the same difference is the same sentence."""
        if self.kind == MISSING:
            return f"Finished in the chart{_version(self.version)}, and not in the book"
        if self.kind == CHANGED and self.ours == TAKEN_BACK:
            return f"Finished in the chart{_version(self.version)}, and taken back in the book"
        if self.kind == CHANGED:
            return f"The chart is at version {_short(self.version)}, the bill was read from {_short(self.ours)}"
        if self.status == ABSENT:
            return f"The chart does not hold it any more, and the book has it as {self.ours}"
        return f"The chart says {self.status[:30]}, and the book has it as {self.ours}"


def _version(version: str) -> str:
    return f" (version {_short(version)})" if version else ""


def _short(version: str) -> str:
    return version[:8] or "?"


def _never(_: Sighting) -> bool:
    return False


def compare(
    theirs: Iterable[Sighting],
    ours: Iterable[Known],
    *,
    waiting: Container[str] = frozenset(),
    is_young: Callable[[Sighting], bool] = _never,
) -> Iterator[Difference]:
    """Every visit of which both sides do not say the same, once, in any order of reading; the last sighting of a visit counts.

    `theirs` is read as a stream. Visits that wait to be read anyway, and those that changed just now, are not judged.
    """
    held = {known.encounter: known for known in ours}
    seen: set[str] = set()
    found: dict[str, Difference] = {}
    for sighting in theirs:
        encounter = sighting.encounter
        known = held.get(encounter)
        if known is not None:
            seen.add(encounter)
        one = None
        if encounter not in waiting and not is_young(sighting):
            one = judged(sighting, known)
        if one is not None:
            found[encounter] = one
        elif found:
            found.pop(encounter, None)
    yield from found.values()
    for encounter, known in held.items():
        if encounter in seen or encounter in waiting:
            continue
        gone = judged(Sighting(encounter=encounter, status=ABSENT), known)
        if gone is not None:
            yield gone


def judged(sighting: Sighting, known: Known | None) -> Difference | None:
    """What the chart and the book say differently of one visit; None when they agree."""
    is_finished = sighting.status == FINISHED
    kind = ours = ""
    if known is None:
        kind = MISSING if is_finished else ""
    elif known.outcome == TAKEN_BACK:
        kind, ours = (CHANGED, TAKEN_BACK) if is_finished else ("", "")
    elif sighting.status and not is_finished:
        kind, ours = GONE, known.outcome
    elif sighting.version and known.version and sighting.version != known.version:
        kind, ours = CHANGED, known.version
    if not kind:
        return None
    return Difference(
        encounter=sighting.encounter, kind=kind, version=sighting.version, status=sighting.status, ours=ours
    )


# ---- the run, as a message ---------------------------------------------------------------------


def as_row(one: Difference) -> dict[str, str]:
    """A difference as the run's message holds it."""
    row = {"kind": one.kind, "encounter": one.encounter, "version": one.version, "status": one.status, "ours": one.ours}
    return {name: value for name, value in row.items() if value}


def of_row(row: Any) -> Difference:
    """A difference of a run's message. Raises MalformedResource."""
    if not isinstance(row, dict) or row.get("kind") not in KINDS or not row.get("encounter"):
        raise MalformedResource("this run holds a difference that cannot be read", fix="compare again")
    return Difference(**{name: str(row.get(name, "")) for name in ("kind", "encounter", "version", "status", "ours")})


def reconciled(turn: Turn) -> Result:
    """Open an item for each new difference, close those that agree again (timer `reconcile`)."""
    said = facts(turn.message)
    rows = said.get("differences")
    differences = [of_row(row) for row in (rows if isinstance(rows, list) else [])]
    opened = sum(_open(turn, one) for one in differences)
    closed = sum(agrees(turn, str(one), "The chart and the book agree again") for one in said.get("agreed") or ())
    say = f"{said.get('theirs', 0)} visits of the chart beside {said.get('ours', 0)} of the book"
    return Result(outcome=Outcome.DONE, say=f"{say}: {len(differences)} differ, {opened} new, {closed} agree again")


def _open(turn: Turn, one: Difference) -> bool:
    """Whether a new item was opened: one that stands open stays one, and what a person closed stays closed until the chart moves on."""
    known = turn.book.differences(encounter=one.encounter)
    for record in known:
        if record.closed_at is not None:
            continue
        if record.kind == one.kind:
            if record.say != one.say:
                turn.book.save_difference(replace(record, say=one.say))
            return False
        _close(turn, record, US, f"It differs in another way now: {one.say}")
    same = [record for record in known if record.kind == one.kind]
    if any(record.say == one.say and record.closed_by not in {"", US} for record in same):
        return False
    key = f"{one.kind}:{one.encounter}"
    turn.book.save_difference(
        DifferenceRecord(
            key=f"{key}:{len(same) + 1}" if same else key,
            encounter=one.encounter,
            kind=one.kind,
            say=one.say,
            found_at=turn.at,
        )
    )
    return True


def agrees(turn: Turn, encounter: str, why: str) -> int:
    """Close what is open of a visit, because both sides say the same again; how many items that were."""
    stands = [one for one in turn.book.differences(encounter=encounter) if one.closed_at is None]
    for record in stands:
        _close(turn, record, US, why)
    return len(stands)


def _close(turn: Turn, record: DifferenceRecord, who: str, why: str) -> None:
    turn.book.save_difference(replace(record, closed_at=turn.at, closed_by=who, why=why))


def closed_by_a_person(turn: Turn, said: Mapping[str, Any]) -> str:
    """`difference`, `reason`: the chart and the book may differ here, and somebody says why."""
    key, reason = str(said.get("difference", "")), str(said.get("reason", "")).strip()
    if not reason:
        raise OverrideNeedsReason("this needs a reason", fix="say in a few words why they may differ")
    record = next((one for one in turn.book.differences(only_open=True) if one.key == key), None)
    if record is None:
        raise NotAMove("this difference is not open any more", fix="look at the list again")
    _close(turn, record, turn.who, reason[:500])
    turn.book.audit(at=turn.at, who=turn.who, what="closed a difference", about=record.encounter, why=reason[:500])
    return f"{key} closed"
