"""What clearinghouse and payers remember: numbers they have used, bills they have seen, decisions that still hold.

Plain values only, so that whoever keeps it can write it down and read it back; the simulator itself keeps nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import ClaimPayment


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The last number used of each kind."""

    interchange: int = 0
    trace: int = 0
    icn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A decision that holds until it is reversed; a split claim has several."""

    icn: str
    payments: tuple[ClaimPayment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBack:
    """A payment that is taken back in the payer's first check that is written for a day after `due`."""

    payer: str
    payee: str
    due: datetime
    reversal: ClaimPayment
    corrected: ClaimPayment


@dataclass(frozen=True, slots=True, kw_only=True)
class SimState:
    """All of it."""

    numbers: Numbers = Numbers()
    seen: dict[str, str] = field(default_factory=dict)
    """Sender, receiver and number of an interchange → SHA-256 of its file."""
    attempts: dict[str, int] = field(default_factory=dict)
    """Claim number → how often it came."""
    standing: dict[str, Standing] = field(default_factory=dict)
    """Claim number → the decision that holds."""
    due_back: tuple[DueBack, ...] = ()
    forwarded: dict[str, Money] = field(default_factory=dict)
    """Payer and payee → what a check could not take back, for the next one."""
