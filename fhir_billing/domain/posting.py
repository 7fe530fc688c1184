"""Each event that moves money becomes one journal; an 835 claim is a journal.

Which account an adjustment goes to is a table that the site owns (concepts/carc-to-account), never an `if`: a denial is
not yet a loss (Disputed), a contract's reduction is (Contractual), what an earlier payer did is neither (prior-payer).
Spec: 005010X221A1 CAS, PLB; CLP02 22 mirrors the first decision with every amount negated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from fhir_billing.domain import ledger
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.ledger import Journal, Posting
from fhir_billing.domain.money import Money, spoken
from fhir_billing.domain.remittance import ClaimPayment, ProviderAdjustment, Remittance


class Bucket(StrEnum):
    """Where an adjustment goes."""

    CONTRACTUAL = "contractual"
    DISPUTED = "disputed"
    PATIENT = "patient"
    PRIOR_PAYER = "prior-payer"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarcTable:
    """The site's table from (group, reason) to bucket. Reasons it does not know are disputed, so that no money is lost from sight."""

    rows: Mapping[tuple[str, str], Bucket] = field(default_factory=dict)

    def bucket(self, adjustment: Adjustment, payment: ClaimPayment, line: int | None) -> Bucket:
        """The bucket of one adjustment; a bundled line whose partner was paid (S11: CO-97 beside a payment) is contractual."""
        known = self.rows.get((adjustment.group.value, adjustment.reason)) or self.rows.get(("*", adjustment.reason))
        if adjustment.reason == "97" and line is not None and _paid_partner(payment, line):
            return Bucket.CONTRACTUAL
        return known or Bucket.DISPUTED

    def knows(self, adjustment: Adjustment) -> bool:
        """Whether the table has a row for it."""
        return (adjustment.group.value, adjustment.reason) in self.rows or ("*", adjustment.reason) in self.rows


def _paid_partner(payment: ClaimPayment, line: int) -> bool:
    """Whether the line was folded into another that is paid: the payer names what we billed (SVC06) and the same code paid."""
    here = payment.lines[line]
    return bool(here.billed_procedure) and any(
        other is not here and other.procedure == here.procedure and other.paid > 0 for other in payment.lines
    )


_ACCOUNT = {
    Bucket.CONTRACTUAL: ledger.CONTRACTUAL,
    Bucket.DISPUTED: ledger.RECEIVABLE_DISPUTED,
    Bucket.PATIENT: ledger.RECEIVABLE_PATIENT,
    Bucket.OTHER: ledger.OTHER_ADJUSTMENT,
}


def charge_billed(*, claim: str, payer: str, amount: Money, on: date, attempt: int = 1) -> Journal:
    """The payer is asked for the whole charge."""
    return Journal(
        key=f"charge:{claim}:{attempt}",
        posted_on=on,
        because=f"Billed {spoken(amount)} to {payer}",
        claim=claim,
        postings=(
            Posting(account=ledger.RECEIVABLE_PAYER, amount=amount, claim=claim, party=payer),
            Posting(account=ledger.CHARGES, amount=-amount, claim=claim),
        ),
    )


def patient_billed(*, visit: str, patient: str, amount: Money, on: date) -> Journal:
    """A visit without coverage: the patient is asked for the whole charge."""
    return Journal(
        key=f"charge:{visit}:self-pay",
        posted_on=on,
        because=f"Billed {spoken(amount)} to the patient",
        claim=visit,
        postings=(
            Posting(account=ledger.RECEIVABLE_PATIENT, amount=amount, claim=visit, party=patient),
            Posting(account=ledger.CHARGES, amount=-amount, claim=visit),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What one CLP comes to, bucket by bucket."""

    paid: Money
    by_bucket: Mapping[Bucket, Money]
    unknown: tuple[Adjustment, ...] = ()

    @property
    def disputed(self) -> Money:
        """What is not paid and not given up."""
        return self.by_bucket.get(Bucket.DISPUTED, 0)

    @property
    def is_denial(self) -> bool:
        """Something was posted to Disputed: the CAS decides this, not CLP02."""
        return self.disputed > 0


def decide(payment: ClaimPayment, table: CarcTable) -> Decided:
    """Sort a payment's adjustments into buckets."""
    sums: dict[Bucket, Money] = defaultdict(int)
    unknown: list[Adjustment] = []
    for adjustment in payment.adjustments:
        sums[table.bucket(adjustment, payment, None)] += adjustment.amount
        unknown += [] if table.knows(adjustment) else [adjustment]
    for position, line in enumerate(payment.lines):
        for adjustment in line.adjustments:
            sums[table.bucket(adjustment, payment, position)] += adjustment.amount
            unknown += [] if table.knows(adjustment) else [adjustment]
    return Decided(
        paid=payment.paid, by_bucket={b: amount for b, amount in sums.items() if amount}, unknown=tuple(unknown)
    )


def remittance_key(remittance: Remittance) -> str:
    """The identity of a remittance: payer, trace and a hash of its transaction set."""
    return f"835:{remittance.payer_id}:{remittance.trace}:{remittance.digest[:16]}"


def payment_decided(
    remittance: Remittance,
    sequence: int,
    *,
    table: CarcTable,
    claim: str,
    payer: str,
    patient: str,
    on: date,
    reverses: str = "",
) -> Journal | None:
    """The journal of one CLP of a matched claim; None when nothing moves (all of it was an earlier payer's)."""
    payment = remittance.claims[sequence]
    decided = decide(payment, table)
    postings = []
    if payment.paid:
        postings.append(Posting(account=ledger.CLEARING, amount=payment.paid, claim=claim, party=remittance.trace))
    for bucket, amount in decided.by_bucket.items():
        if bucket is not Bucket.PRIOR_PAYER:
            party = patient if bucket is Bucket.PATIENT else payer
            postings.append(Posting(account=_ACCOUNT[bucket], amount=amount, claim=claim, party=party))
    owed = sum(posting.amount for posting in postings)
    postings.append(Posting(account=ledger.RECEIVABLE_PAYER, amount=-owed, claim=claim, party=payer))
    if len(postings) < 2:
        return None
    verb = "took back its decision" if payment.is_reversal else "decided"
    return Journal(
        key=f"{remittance_key(remittance)}:{sequence}",
        posted_on=on,
        effective_on=remittance.paid_on,
        because=f"{payer} {verb}: paid {spoken(payment.paid)} of {spoken(payment.charge)}",
        claim=claim,
        reverses=reverses,
        postings=tuple(postings),
    )


def money_without_home(remittance: Remittance, sequence: int, *, on: date) -> Journal | None:
    """A payment for a claim we do not know: kept as a liability until a person finds its home."""
    payment = remittance.claims[sequence]
    if not payment.paid:
        return None
    return Journal(
        key=f"{remittance_key(remittance)}:{sequence}:unmatched",
        posted_on=on,
        effective_on=remittance.paid_on,
        because=f"Paid {spoken(payment.paid)} for a claim that is not known here",
        postings=(
            Posting(account=ledger.CLEARING, amount=payment.paid, party=remittance.trace),
            Posting(account=ledger.UNAPPLIED, amount=-payment.paid, party=f"unmatched:{payment.claim}"),
        ),
    )


_PLB_ACCOUNT = {
    "L6": ledger.INTEREST,
    "CT": ledger.CAPITATION,
    "WO": ledger.REFUNDS,
    "FB": ledger.REFUNDS,
    "72": ledger.REFUNDS,
}


def provider_adjusted(remittance: Remittance, sequence: int, *, on: date) -> Journal | None:
    """A PLB pair: above zero the payer keeps money back, below zero it gives. The account follows the reason code."""
    adjustment: ProviderAdjustment = remittance.provider_adjustments[sequence]
    if not adjustment.amount:
        return None
    account = _PLB_ACCOUNT.get(adjustment.reason, ledger.OTHER_ADJUSTMENT)
    verb = "kept back" if adjustment.amount > 0 else "gave"
    return Journal(
        key=f"{remittance_key(remittance)}:plb:{sequence}",
        posted_on=on,
        effective_on=remittance.paid_on,
        because=f"The payer {verb} {spoken(abs(adjustment.amount))} ({adjustment.reason})",
        postings=(
            Posting(account=account, amount=adjustment.amount, party=adjustment.reference),
            Posting(account=ledger.CLEARING, amount=-adjustment.amount, party=remittance.trace),
        ),
    )


def deposit_landed(*, trace: str, payer: str, by_claim: Mapping[str, Money], on: date, key: str) -> Journal:
    """The bank's deposit with the same trace number: clearing becomes cash, claim by claim."""
    postings = []
    for claim, amount in by_claim.items():
        if amount:
            postings.append(Posting(account=ledger.BANK, amount=amount, claim=claim, party=payer))
            postings.append(Posting(account=ledger.CLEARING, amount=-amount, claim=claim, party=trace))
    return Journal(key=key, posted_on=on, because=f"The deposit of {payer} landed", postings=tuple(postings))


def patient_paid(*, key: str, claim: str, patient: str, amount: Money, owed: Money, on: date, how: str) -> Journal:
    """A patient's payment: first what the visit owes, the rest waits as unapplied. A refund is a negative amount."""
    applied = max(0, min(amount, owed)) if amount > 0 else 0
    postings = [Posting(account=ledger.BANK, amount=amount, claim=claim, party=patient)]
    if applied:
        postings.append(Posting(account=ledger.RECEIVABLE_PATIENT, amount=-applied, claim=claim, party=patient))
    if amount - applied:
        postings.append(Posting(account=ledger.UNAPPLIED, amount=-(amount - applied), claim=claim, party=patient))
    return Journal(
        key=key,
        posted_on=on,
        because=f"The patient paid {spoken(amount)} ({how})",
        claim=claim,
        postings=tuple(postings),
    )


def unapplied_moved(*, key: str, claim: str, patient: str, owed: Money, unapplied: Money, on: date) -> Journal | None:
    """Keep what the patient has paid beside what the patient owes: apply a copay that waits, or give back what is no longer owed.

    `owed` is the balance of the patient's receivable (debit above zero), `unapplied` what waits (above zero).
    """
    amount = min(owed, unapplied) if owed > 0 else owed
    if not amount:
        return None
    words = "applied to what the patient owes" if amount > 0 else "is the patient's again"
    return Journal(
        key=key,
        posted_on=on,
        because=f"{spoken(abs(amount))} {words}",
        claim=claim,
        postings=(
            Posting(account=ledger.UNAPPLIED, amount=amount, claim=claim, party=patient),
            Posting(account=ledger.RECEIVABLE_PATIENT, amount=-amount, claim=claim, party=patient),
        ),
    )


def asked_of_next_payer(*, key: str, claim: str, patient: str, payer: str, amount: Money, on: date) -> Journal:
    """Another plan may still pay the patient's share: it is asked first. A negative amount takes that back."""
    return Journal(
        key=key,
        posted_on=on,
        because=f"{spoken(abs(amount))} {'waits for' if amount > 0 else 'no longer waits for'} the next plan, {payer}",
        claim=claim,
        postings=(
            Posting(account=ledger.RECEIVABLE_PAYER, amount=amount, claim=claim, party=payer),
            Posting(account=ledger.RECEIVABLE_PATIENT, amount=-amount, claim=claim, party=patient),
        ),
    )


def given_up(*, key: str, claim: str, payer: str, amount: Money, on: date, reason: str) -> Journal:
    """The fight is given up: what was in dispute becomes a loss."""
    return Journal(
        key=key,
        posted_on=on,
        because=f"Given up: {reason}",
        claim=claim,
        postings=(
            Posting(account=ledger.DENIED, amount=amount, claim=claim),
            Posting(account=ledger.RECEIVABLE_DISPUTED, amount=-amount, claim=claim, party=payer),
        ),
    )


def moved_to_payer(*, key: str, old: str, old_payer: str, new: str, new_payer: str, amount: Money, on: date) -> Journal:
    """Another coverage was found: what was in dispute is asked of the other payer, on a claim of its own."""
    return Journal(
        key=key,
        posted_on=on,
        because=f"Moved {spoken(amount)} from {old_payer} to {new_payer}",
        claim=new,
        postings=(
            Posting(account=ledger.RECEIVABLE_PAYER, amount=amount, claim=new, party=new_payer),
            Posting(account=ledger.RECEIVABLE_DISPUTED, amount=-amount, claim=old, party=old_payer),
        ),
    )
