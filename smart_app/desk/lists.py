"""A worklist holds what waits for the same hand: its name, its states, and one sentence on what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from fhir_billing.cycle.views import WITH_PAYER, ClaimRow
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money
from smart_app.look import OWNERS, STATES

S = State
SILENT: Final = (S.SENT, S.RECEIVED, S.ACCEPTED, S.PENDED, S.APPEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """One list."""

    name: str
    title: str
    states: tuple[State, ...]
    means: str
    clock: str = "Deadline"
    empty: str = "Nothing waits here"
    by_reason: bool = False
    """Whether its rows stand in groups by what is wrong."""


def _all() -> dict[str, Worklist]:
    lists = [
        Worklist(
            name="held",
            title="Needs information",
            states=(S.HELD,),
            means=STATES[S.HELD].means,
            clock="Filing window",
            empty="Nothing is held",
            by_reason=True,
        ),
        Worklist(
            name="ready",
            title="Ready to send",
            states=(S.DRAFTED, S.READY, S.QUEUED),
            means="Clean and waiting for the next file; queued ones may have left already.",
            clock="Filing window",
            empty="Nothing waits to be sent",
        ),
        Worklist(
            name="silent",
            title="Sent and silent",
            states=SILENT,
            means="An answer was due and has not come. Ask the payer before the filing window closes.",
            clock="Answer due",
            empty="No payer owes an answer",
        ),
        Worklist(
            name="rejected",
            title="Rejected",
            states=(S.REJECTED,),
            means=STATES[S.REJECTED].means,
            clock="Filing window",
            empty="Nothing is rejected",
            by_reason=True,
        ),
        Worklist(
            name="queried",
            title="Information requested",
            states=(S.QUERIED,),
            means=STATES[S.QUERIED].means,
            clock="Reply due",
            empty="No payer asks for anything",
            by_reason=True,
        ),
        Worklist(
            name="denied",
            title="Denied",
            states=(S.DENIED,),
            means=STATES[S.DENIED].means,
            clock="Appeal window",
            empty="Nothing is denied",
            by_reason=True,
        ),
        Worklist(
            name="appealed",
            title="Appeals",
            states=(S.APPEALED,),
            means="The payer was asked again and has the next word.",
            clock="Answer due",
            empty="No appeal is open",
        ),
        Worklist(
            name="with-payers",
            title="With payers",
            states=WITH_PAYER[:4],
            means="Sent, received, accepted or pended: the payer has the next word.",
            clock="Answer due",
            empty="No claim is with a payer",
        ),
        Worklist(
            name="decided",
            title="Paid and closed",
            states=(S.PAID, S.CLOSED),
            means="Decided, with nothing in dispute. What the patient owes stands on the patient's page.",
            clock="Deadline",
            empty="Nothing is decided yet",
        ),
        Worklist(
            name="all",
            title="Claims",
            states=tuple(State),
            means="Every claim, whatever its state.",
            empty="There are no claims yet",
        ),
    ]
    known = {w.name: w for w in lists}
    for state, look in STATES.items():
        known.setdefault(
            state.value,
            Worklist(
                name=state.value,
                title=look.word,
                states=(state,),
                means=look.means,
                empty=f"Nothing is {look.word.lower()}",
            ),
        )
    return known


LISTS: Final = _all()

SORTS: Final[Mapping[str, tuple[str, Callable[[ClaimRow], object]]]] = {
    "left": ("time left", lambda r: (r.due is None, r.due or date.max)),
    "charge": ("charge", lambda r: r.charge),
    "visit": ("visit", lambda r: r.served_on or date.min),
    "claim": ("claim", lambda r: r.number),
    "patient": ("patient", lambda r: r.patient_name.casefold()),
    "payer": ("payer", lambda r: r.payer_name.casefold()),
    "state": ("state", lambda r: list(State).index(r.state)),
    "owner": ("owner", lambda r: OWNERS.get(r.owner, r.owner)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reader asked of a list. No patient's name is among it: it stands in an address."""

    payer: str = ""
    owner: str = ""
    why: str = ""
    sort: str = "left"
    down: bool = False
    group: str = ""
    """reason, payer, owner or none; empty is the list's own."""
    offset: int = 0

    def other(self, **changes: object) -> dict[str, str]:
        """The same question with changes, as an address says it; what is usual is left out."""
        usual = {"sort": "left", "down": False, "offset": 0}
        now = {
            name: changes.get(name, getattr(self, name))
            for name in ("payer", "owner", "why", "sort", "down", "group", "offset")
        }
        return {
            name: "1" if value is True else str(value)
            for name, value in now.items()
            if value and value != usual.get(name)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows that belong together, with their count and sum."""

    key: str
    title: str
    code: str
    rows: tuple[ClaimRow, ...]

    @property
    def charge(self) -> Money:
        """What they are worth."""
        return sum(row.charge for row in self.rows)


def keep(rows: Iterable[ClaimRow], asked: Asked) -> list[ClaimRow]:
    """The rows that fit the filters, in the order asked for."""
    kept = [
        row
        for row in rows
        if (not asked.payer or row.payer == asked.payer)
        and (not asked.owner or row.owner == asked.owner)
        and (not asked.why or (row.finding is not None and row.finding.key == asked.why))
    ]
    order = SORTS.get(asked.sort, SORTS["left"])[1]
    return sorted(kept, key=order, reverse=asked.down)  # type: ignore[arg-type]


def grouped(rows: Iterable[ClaimRow], by: str) -> list[Group]:
    """Groups in the order in which their first rows come."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in rows:
        groups.setdefault(_key(row, by), []).append(row)
    return [_group(key, found, by) for key, found in groups.items()]


_VARIES = re.compile(r" ?\$[\d,.]*\d|\b\d+(?= days?\b)")
"""Amounts and days differ from claim to claim and are no reason of their own."""


def _key(row: ClaimRow, by: str) -> str:
    if by == "reason":
        return f"{row.finding.key}|{_VARIES.sub('', row.finding.say)}" if row.finding else ""
    return {"payer": row.payer, "owner": row.owner}.get(by, "")


def _group(key: str, rows: list[ClaimRow], by: str) -> Group:
    if by == "payer":
        return Group(key=key, title=rows[0].payer_name or "No payer", code=key, rows=tuple(rows))
    if by == "owner":
        return Group(key=key, title=OWNERS.get(key, key), code="", rows=tuple(rows))
    said = {row.finding.say for row in rows if row.finding}
    code, _, common = key.partition("|")
    title = next(iter(said)) if len(said) == 1 else common
    return Group(key=key, title=title or "No reason given", code=code, rows=tuple(rows))
