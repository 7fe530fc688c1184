"""What becomes of a claim is decided first, in the trade's words; which files say so is somebody else's work.

A behaviour looks at a `Case` and returns a `Verdict`: what the clearinghouse and the payer say of the claim and when,
what is paid of it and when, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from fhir_billing.domain.acknowledgment import StatusCode, SyntaxFault
from fhir_billing.domain.claim import Adjustment, Claim, ServiceLine
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import REVERSAL, ClaimPayment, LinePayment
from fhir_billing.simulator.pricing import Priced, Terms, answered

NOW = timedelta(0)
RANKS = {"P": "1", "S": "2", "T": "3"}
_INDICATORS = frozenset(
    {"12", "13", "14", "15", "16", "17", "AM", "CH", "DS", "HM", "LM", "MA", "MB", "MC", "OF", "TV", "VA", "WC", "ZZ"}
)
"""What an 835 may say of the kind of plan; a bill has more words for it."""


class Hop(StrEnum):
    """Who speaks of a claim."""

    CLEARINGHOUSE = "clearinghouse"
    PAYER = "payer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long each answer takes, counted from the bill's arrival."""

    acknowledged: timedelta = NOW
    received: timedelta = NOW
    accepted: timedelta = timedelta(days=1)
    decided: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A claim on the payer's desk. `attempt` counts from 1; `earlier` is what holds of the claim that it replaces."""

    claim: Claim
    charge: Money
    attempt: int
    icn: str
    second_icn: str
    at: datetime
    delays: Delays
    terms: Terms
    earlier: tuple[ClaimPayment, ...] = ()

    @property
    def received_on(self) -> date:
        """The day the bill came."""
        return self.at.date()


class Spoil(StrEnum):
    """Where an 835 is made wrong."""

    FILE = "BPR02"
    CLAIM = "CLP04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the file of a remittance is handed over."""

    twice: bool = False
    spoil: Spoil | None = None
    by: Money = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a hop says of the claim in a 277CA; a pending claim is told of in a 277."""

    after: timedelta
    by: Hop
    codes: tuple[StatusCode, ...]
    pending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One decision and when it is told. Those with the same `lane` share a file; a lane has its own manner."""

    after: timedelta
    payment: ClaimPayment
    lane: str = ""
    manner: Manner = field(default_factory=Manner)
    interest: Money = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """A payment that will be taken back: after which time, as what it is then decided, and against whose payment it is netted."""

    after: timedelta
    reversal: ClaimPayment
    corrected: ClaimPayment
    same_file: bool = False
    """Net it against another claim of the same file; otherwise against the payer's next payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All that becomes of one claim, and why."""

    why: str
    faults: tuple[SyntaxFault, ...] = ()
    """Not empty: its whole set is rejected."""
    unheard: bool = False
    """Not even the set is acknowledged, if nobody else in the file is heard."""
    statuses: tuple[Status, ...] = ()
    payments: tuple[Payment, ...] = ()
    take_back: TakeBack | None = None


Decide: TypeAlias = Callable[[Case], Verdict]


def known(case: Case) -> tuple[Status, ...]:
    """The clearinghouse has it, then the payer takes it into adjudication."""
    return (
        Status(
            after=case.delays.received,
            by=Hop.CLEARINGHOUSE,
            codes=(StatusCode(category="A1", status="19", entity="PR"),),
        ),
        Status(after=case.delays.accepted, by=Hop.PAYER, codes=(StatusCode(category="A2", status="20"),)),
    )


def decided(case: Case, result: Priced, *, icn: str = "", status: str = "", **more: object) -> ClaimPayment:
    """The claim as decided, with what the bill said of itself echoed."""
    claim = case.claim
    payment = ClaimPayment(
        claim=claim.id,
        status=status or RANKS.get(claim.insurance[0].rank, "1"),
        charge=sum(line.charge for line in result.lines) if result.lines else case.charge,
        paid=result.paid,
        filing_indicator=_indicator(claim),
        icn=icn or case.icn,
        facility=claim.place,
        frequency=claim.frequency.value,
        adjustments=result.adjustments,
        lines=result.lines,
        patient_family=claim.patient.family,
        patient_given=claim.patient.given,
        member_id=claim.insurance[0].member_id,
        served_from=claim.served_from,
        served_to=claim.served_to,
        received_on=case.received_on,
    )
    owed = sum(one.amount for one in payment.all_adjustments() if one.group is Group.PR)
    return replace(payment, patient_share=owed, **more)  # type: ignore[arg-type]


def _indicator(claim: Claim) -> str:
    found = claim.insurance[0].filing_indicator
    return found if found in _INDICATORS else "12" if found in {"CI", "BL"} else "ZZ"


def denied_line(line: ServiceLine, reason: tuple[Group, str], remarks: tuple[str, ...] = ()) -> LinePayment:
    """A line of which nothing is paid."""
    whole = (Adjustment(group=reason[0], reason=reason[1], amount=line.charge),) if line.charge else ()
    return answered(line, paid=0, adjustments=whole, remarks=remarks)


def denied(case: Case, reason: tuple[Group, str], *, remarks: tuple[str, ...] = (), icn: str = "") -> ClaimPayment:
    """A claim of which nothing is paid: decided as first, second or third payer all the same."""
    lines = tuple(denied_line(line, reason, remarks) for line in case.claim.lines)
    return decided(case, Priced(paid=0, lines=lines), icn=icn)


def mirrored(payment: ClaimPayment) -> ClaimPayment:
    """The decision taken back: every amount turned round, groups and reasons as they were."""
    return replace(
        payment,
        status=REVERSAL,
        charge=-payment.charge,
        paid=-payment.paid,
        patient_share=0,
        interest=0,
        adjustments=_turned(payment.adjustments),
        lines=tuple(
            replace(line, charge=-line.charge, paid=-line.paid, allowed=None, adjustments=_turned(line.adjustments))
            for line in payment.lines
        ),
    )


def _turned(found: tuple[Adjustment, ...]) -> tuple[Adjustment, ...]:
    return tuple(replace(one, amount=-one.amount) for one in found)
