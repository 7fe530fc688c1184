"""An acknowledgment says how far a bill got; none of them says that it will be paid.

TA1 speaks of the interchange, 999 of the transaction set and so of every claim in it, 277CA of one claim.
Spec: 005010X231A1 (999), 005010X214 (277CA) loops 2200B to 2220D, 005010X212 (277), X12.5 TA1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from fhir_billing.domain.money import Money


class Reach(StrEnum):
    """How far the bill got, in our own words; `lifecycle` turns it into a move."""

    RECEIVED = "received"
    """TA1 A; 999 A or E; 277CA A0, A1: somebody has read it."""
    ACCEPTED = "accepted"
    """277CA A2, A5: it will be decided."""
    REJECTED = "rejected"
    """TA1 R; 999 R, M, W, X; 277CA A3, A6, A7, A8: it was never adjudicated."""
    LOST = "lost"
    """277CA A4, 277 D: they do not know it."""
    PENDED = "pended"
    """277 P0, P1, P2, P5: they are thinking."""
    QUERIED = "queried"
    """277 P3, P4, R: someone must answer."""
    DECIDED = "decided"
    """277 F: a hint that an 835 is coming."""
    UNKNOWN = "unknown"
    """A code that this message may not carry, or that we do not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntaxFault:
    """One complaint of a 999 or TA1: segment id, its position in the set, loop, element, and the code (IK304, IK403, TA105)."""

    code: str
    segment: str = ""
    position: int = 0
    loop: str = ""
    element: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterchangeAcknowledgment:
    """TA1: our interchange `control` (its ISA13) was accepted (A), accepted with errors (E) or rejected (R)."""

    control: str
    code: str
    reason: str = ""

    @property
    def reach(self) -> Reach:
        """What it means for each claim inside."""
        return Reach.REJECTED if self.code == "R" else Reach.RECEIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAcknowledgment:
    """999 for one transaction set: the group (AK102 = our GS06) and set (AK202 = our ST02), IK501, and why."""

    group_control: str
    set_control: str
    kind: str
    """AK201, such as 837."""
    code: str
    """IK501: A, E, R, M, W or X."""
    faults: tuple[SyntaxFault, ...] = ()
    group_code: str = ""
    """AK901 of the group: A, E, P, R."""

    @property
    def reach(self) -> Reach:
        """What it means for each claim inside: P at group level is not P for ours."""
        return Reach.RECEIVED if self.code in {"A", "E"} else Reach.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCode:
    """One STC composite: category (A7), status (562), and the entity it speaks of (85)."""

    category: str
    status: str = ""
    entity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimStatus:
    """277CA or 277 for one claim: `claim` is TRN02 of the patient loop, our CLM01."""

    claim: str
    codes: tuple[StatusCode, ...]
    on: date | None = None
    action: str = ""
    """STC03: U rejected, WQ accepted."""
    charge: Money | None = None
    icn: str = ""
    """REF*1K: the payer's number, which a later 7 or 8 needs."""
    sender: str = ""
    """Who says so (2100A NM109): one comes from each hop."""
    position: int = 0
    """Number of the STC segment in its transaction set."""
    text: str = ""
    """STC12, free text."""

    @property
    def reach(self) -> Reach:
        """The worst of its codes: a rejection anywhere is a rejection."""
        found = [reach_of(code.category) for code in self.codes]
        order = list(_WORST)
        return min(found, key=order.index, default=Reach.UNKNOWN)


_WORST = (
    Reach.REJECTED, Reach.LOST, Reach.QUERIED, Reach.PENDED, Reach.DECIDED, Reach.ACCEPTED, Reach.RECEIVED, Reach.UNKNOWN,
)  # fmt: skip
_REACH = {
    "A0": Reach.RECEIVED, "A1": Reach.RECEIVED, "A2": Reach.ACCEPTED, "A3": Reach.REJECTED, "A4": Reach.LOST,
    "A5": Reach.ACCEPTED, "A6": Reach.REJECTED, "A7": Reach.REJECTED, "A8": Reach.REJECTED,
    "P0": Reach.PENDED, "P1": Reach.PENDED, "P2": Reach.PENDED, "P3": Reach.QUERIED, "P4": Reach.QUERIED, "P5": Reach.PENDED,
}  # fmt: skip


def reach_of(category: str) -> Reach:
    """The meaning of a claim status category code (X12 code list 507).

    >>> reach_of("A1"), reach_of("A7"), reach_of("F1")
    (<Reach.RECEIVED: 'received'>, <Reach.REJECTED: 'rejected'>, <Reach.DECIDED: 'decided'>)
    """
    known = _REACH.get(category)
    if known is not None:
        return known
    return {"F": Reach.DECIDED, "R": Reach.QUERIED, "D": Reach.LOST}.get(category[:1], Reach.UNKNOWN)
