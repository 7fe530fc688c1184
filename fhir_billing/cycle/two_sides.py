"""What a screen needs where the chart and the book say different things: the open items, one proposal, and what the net caught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from fhir_billing.cycle.records import ProposalRecord
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One item of the list: a difference that a night found, or a proposal that a late change made."""

    key: str
    kind: str
    """missing, changed, gone, replace or void."""
    say: str
    found_at: datetime
    number: str = ""
    """The claim's number, or the visit's; empty for a visit that is not in the book."""
    encounter: str = ""
    patient_name: str = ""
    payer_name: str = ""
    served_on: date | None = None
    status: str = "open"
    """open, accepted, done, dismissed, overtaken or closed."""
    money: Money | None = None
    """What the charge changes by; None where nothing can be said yet."""
    to_do: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    why: str = ""

    @property
    def is_proposal(self) -> bool:
        """Whether a person accepts or dismisses it; a difference is closed."""
        return self.kind in {"replace", "void"}

    @property
    def is_open(self) -> bool:
        """Whether it still asks for something."""
        return self.status in {"open", "accepted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalPage:
    """One proposal with the claim that it is about."""

    proposal: ProposalRecord
    claim: str
    state: State
    patient_name: str
    payer_name: str
    served_on: date | None
    icn: str
    charge: Money
    charge_now: Money
    """What the bill would come to: zero for a void."""
    to_do: str

    @property
    def money(self) -> Money:
        """What the charge changes by."""
        return self.charge_now - self.charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """Who found the visits, and what the nightly net caught that nobody had rung for."""

    found_by: Mapping[str, int] = field(default_factory=dict)
    """Trigger → visits that it found first, the most first."""
    nights: Mapping[date, Mapping[str, int]] = field(default_factory=dict)
    """Night → kind → how many items it opened, newest first."""
    compared: datetime | None = None
    """When the two sides were compared last."""


class TwoSides(Protocol):
    """Asked of the store by the desk; nothing is decided here."""

    def sides(self, *, closed: bool = False) -> list[SideRow]:
        """What is open, newest first; or what was closed lately."""
        ...

    def proposal(self, key: str) -> ProposalPage | None: ...
    def caught(self, since: datetime) -> Caught:
        """Counts for the two small tables."""
        ...
