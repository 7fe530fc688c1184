"""A remittance balances or it is not posted: its lines, its claims and its check must each add up.

Spec: 005010X221A1 §1.10.2 (balancing) loops 2100, 2110, PLB. CLP02 says how a claim was processed, not whether it was paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.money import Money, show

REVERSAL = "22"
FORWARDED = frozenset({"19", "20", "21"})
"""The payer has sent it on to the next one: that payer must not be billed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePayment:
    """One service as decided (SVC). `control` is REF*6R, our line number, when they send it back."""

    procedure: str = ""
    """SVC01-2, or the revenue code for a line that has none."""
    modifiers: tuple[str, ...] = ()
    revenue_code: str = ""
    charge: Money = 0
    paid: Money = 0
    units: Decimal = Decimal(1)
    billed_procedure: str = ""
    """SVC06: the code we sent, when the payer changed or bundled it."""
    control: str = ""
    served_on: date | None = None
    adjustments: tuple[Adjustment, ...] = ()
    remarks: tuple[str, ...] = ()
    """LQ*HE: remark codes (RARC)."""
    allowed: Money | None = None
    """AMT*B6."""
    position: int = 0
    """Number of the SVC segment in its transaction set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPayment:
    """One claim as decided (CLP). `claim` is CLP01, our CLM01; `status` CLP02; `icn` CLP07."""

    claim: str
    status: str
    charge: Money
    paid: Money
    patient_share: Money = 0
    """CLP05, as the payer says it; what posts is the PR adjustments."""
    filing_indicator: str = ""
    icn: str = ""
    facility: str = ""
    frequency: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    lines: tuple[LinePayment, ...] = ()
    patient_family: str = ""
    patient_given: str = ""
    member_id: str = ""
    next_payer: str = ""
    """NM1*TT NM103 or NM109: to whom it was forwarded."""
    other_payer: str = ""
    """NM1*PR inside the claim: the payer that should be billed first."""
    served_from: date | None = None
    served_to: date | None = None
    received_on: date | None = None
    remarks: tuple[str, ...] = ()
    """Remark codes of MIA and MOA."""
    interest: Money = 0
    """AMT*I: information only, the money is in PLB L6."""
    position: int = 0
    """Number of the CLP segment in its transaction set."""

    @property
    def is_reversal(self) -> bool:
        """CLP02 22: takes an earlier decision back."""
        return self.status == REVERSAL

    @property
    def is_forwarded(self) -> bool:
        """CLP02 19, 20, 21: crossed over to the next payer."""
        return self.status in FORWARDED

    def all_adjustments(self) -> Iterator[Adjustment]:
        """Claim level first, then each line's."""
        yield from self.adjustments
        for line in self.lines:
            yield from line.adjustments


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAdjustment:
    """One PLB pair: above zero takes money away, below zero gives."""

    reason: str
    reference: str
    amount: Money
    provider: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remittance:
    """One 835 transaction set. Identity is payer, trace and `digest`, for a trace number is not always unique."""

    payer_id: str
    """TRN03, or N1*PR's N104 when there is none."""
    payer_name: str
    trace: str
    """TRN02, the number that also comes with the bank's deposit."""
    paid: Money
    """BPR02."""
    handling: str = "I"
    """BPR01; H is news without money."""
    method: str = "ACH"
    """BPR04; NON when there is no payment."""
    paid_on: date | None = None
    """BPR16."""
    payee_npi: str = ""
    payee_name: str = ""
    control: str = ""
    """ST02."""
    digest: str = ""
    """SHA-256 of the transaction set from BPR to before SE, segment by segment, so that line breaks do not matter."""
    is_test: bool = False
    claims: tuple[ClaimPayment, ...] = ()
    provider_adjustments: tuple[ProviderAdjustment, ...] = ()
    position: int = 0
    """Number of the BPR segment in its transaction set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """A sum that fails: `where` names it, `terms` are the labelled numbers, `expected` their sum, `found` what was sent."""

    where: str
    segment: str
    position: int
    terms: tuple[tuple[str, Money], ...]
    expected: Money
    found: Money

    @property
    def off_by(self) -> Money:
        """Found minus expected."""
        return self.found - self.expected

    def say(self) -> str:
        """The arithmetic in one line."""
        sums = " ".join(
            f"{label} {show(-amount)}" if label.startswith("less ") else f"{label} {show(amount)}"
            for label, amount in self.terms
        )
        return f"{self.where}: {sums} = {show(self.expected)}, but {self.segment} says {show(self.found)} ({show(self.off_by)} off)"


def out_of_balance(remittance: Remittance) -> list[Imbalance]:
    """The sums that fail: each line, each claim, the file. Empty means it may post."""
    failed: list[Imbalance] = []
    for payment in remittance.claims:
        failed.extend(_claim_imbalances(payment))
    claims = sum(payment.paid for payment in remittance.claims)
    taken = sum(adjustment.amount for adjustment in remittance.provider_adjustments)
    if claims - taken != remittance.paid:
        failed.append(
            Imbalance(
                where="file",
                segment="BPR02",
                position=remittance.position,
                terms=(("claims paid", claims), ("less provider adjustments", -taken)),
                expected=claims - taken,
                found=remittance.paid,
            )
        )
    return failed


def _claim_imbalances(payment: ClaimPayment) -> Iterator[Imbalance]:
    adjusted = sum(adjustment.amount for adjustment in payment.adjustments)
    for number, line in enumerate(payment.lines, 1):
        off = sum(adjustment.amount for adjustment in line.adjustments)
        adjusted += off
        if line.charge - off != line.paid:
            yield Imbalance(
                where=f"claim {payment.claim} line {number}",
                segment="SVC03",
                position=line.position,
                terms=(("charge", line.charge), ("less adjustments", -off)),
                expected=line.charge - off,
                found=line.paid,
            )
    if payment.charge - adjusted != payment.paid:
        yield Imbalance(
            where=f"claim {payment.claim}",
            segment="CLP04",
            position=payment.position,
            terms=(("charge", payment.charge), ("less adjustments", -adjusted)),
            expected=payment.charge - adjusted,
            found=payment.paid,
        )
