"""A sum that is printed anywhere is made here, so that every screen adds up in the same way.

A bill: charge + moved − contract − plan − patient − given up − other = open. A service as decided: charge − contract −
disputed − patient = paid. A remittance: four checks, in the order in which they are made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from fhir_billing.domain import ledger
from fhir_billing.domain.money import Money
from fhir_billing.domain.posting import Bucket, CarcTable
from fhir_billing.domain.remittance import ClaimPayment, Imbalance, Remittance


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One posting as it concerns one claim."""

    journal: str
    account: str
    party: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BillSums:
    """A bill's arithmetic, read from the ledger: charge + moved − contract − plan − patient − given up − other = open."""

    charge: Money = 0
    moved: Money = 0
    """Came from (or, below zero, went to) another claim of the same visit."""
    contract: Money = 0
    plan_paid: Money = 0
    patient_paid: Money = 0
    """What the patient has paid and this bill has used."""
    given_up: Money = 0
    other: Money = 0
    credit: Money = 0
    """What the patient has paid and this bill has not used."""
    payer_owes: Money = 0
    disputed: Money = 0
    patient_owes: Money = 0
    owed_by: tuple[tuple[str, Money], ...] = ()
    """What the payers owe, payer by payer: a second plan owes what the first has left to it."""

    def with_(self, other: BillSums) -> BillSums:
        """Two bills as one, such as a bill and the one that it goes on as."""
        sums = [f.name for f in fields(self) if f.name != "owed_by"]
        both = {name: getattr(self, name) + getattr(other, name) for name in sums}
        return BillSums(**both, owed_by=(*self.owed_by, *other.owed_by))

    @property
    def open(self) -> Money:
        """What somebody still owes."""
        return self.payer_owes + self.disputed + self.patient_owes

    @property
    def off_by(self) -> Money:
        """Zero, or the ledger is broken."""
        gone = self.contract + self.plan_paid + self.patient_paid + self.given_up + self.other
        return self.charge + self.moved - gone - self.open


def bill_sums(entries: Iterable[Entry], patient: str = "") -> BillSums:
    """The sums of one bill from the postings that name it."""
    by_account: dict[str, Money] = defaultdict(int)
    by_journal: dict[str, Money] = defaultdict(int)
    owed_by: dict[str, Money] = defaultdict(int)
    from_patient = 0
    for entry in entries:
        if entry.account == ledger.RECEIVABLE_PAYER:
            owed_by[entry.party] += entry.amount
        by_account[entry.account] += entry.amount
        by_journal[entry.journal] += entry.amount
        if entry.account == ledger.BANK and (entry.party == patient or entry.party.startswith("Patient/")):
            from_patient += entry.amount
    unused = -by_account[ledger.UNAPPLIED]
    return BillSums(
        charge=-by_account[ledger.CHARGES],
        moved=sum(by_journal.values()),
        contract=by_account[ledger.CONTRACTUAL],
        plan_paid=by_account[ledger.CLEARING] + by_account[ledger.BANK] - from_patient,
        patient_paid=from_patient - unused,
        given_up=by_account[ledger.DENIED],
        other=by_account[ledger.OTHER_ADJUSTMENT]
        + by_account[ledger.INTEREST]
        + by_account[ledger.REFUNDS]
        + by_account[ledger.CAPITATION],
        credit=unused,
        payer_owes=by_account[ledger.RECEIVABLE_PAYER],
        disputed=by_account[ledger.RECEIVABLE_DISPUTED],
        patient_owes=by_account[ledger.RECEIVABLE_PATIENT],
        owed_by=tuple((payer, amount) for payer, amount in owed_by.items() if amount),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One adjustment as the payer wrote it, and where it went."""

    group: str
    code: str
    amount: Money
    bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDecided:
    """A service as decided: charge − contract − disputed − patient = paid."""

    number: int
    procedure: str
    charge: Money
    contract: Money
    disputed: Money
    patient: Money
    paid: Money
    reasons: tuple[Reason, ...] = ()
    control: str = ""

    @property
    def off_by(self) -> Money:
        """Zero when the line adds up."""
        return self.charge - self.contract - self.disputed - self.patient - self.paid


_OF = {Bucket.DISPUTED: "disputed", Bucket.PATIENT: "patient"}


def _decided(payment: ClaimPayment, table: CarcTable, number: int, line: int | None) -> LineDecided:
    service = None if line is None else payment.lines[line]
    adjustments = payment.adjustments if service is None else service.adjustments
    sums: dict[str, Money] = defaultdict(int)
    reasons = []
    for adjustment in adjustments:
        bucket = table.bucket(adjustment, payment, line)
        sums[_OF.get(bucket, "contract")] += adjustment.amount
        reasons.append(
            Reason(group=adjustment.group.value, code=adjustment.reason, amount=adjustment.amount, bucket=bucket.value)
        )
    return LineDecided(
        number=number,
        procedure=(service.procedure or service.revenue_code) if service else "",
        charge=service.charge if service else payment.charge,
        paid=service.paid if service else payment.paid,
        contract=sums["contract"],
        disputed=sums["disputed"],
        patient=sums["patient"],
        reasons=tuple(reasons),
        control=service.control if service else "",
    )


def lines_decided(payment: ClaimPayment, table: CarcTable) -> tuple[LineDecided, ...]:
    """Each service of a decided claim, bucket by bucket."""
    return tuple(_decided(payment, table, n + 1, n) for n in range(len(payment.lines)))


def claim_decided(payment: ClaimPayment, table: CarcTable) -> LineDecided:
    """The whole claim in one row: its own adjustments and those of its lines."""
    whole = _decided(payment, table, 0, None)
    lines = lines_decided(payment, table)
    return LineDecided(
        number=0,
        procedure=payment.claim,
        charge=payment.charge,
        paid=payment.paid,
        contract=whole.contract + sum(line.contract for line in lines),
        disputed=whole.disputed + sum(line.disputed for line in lines),
        patient=whole.patient + sum(line.patient for line in lines),
        reasons=_together((*whole.reasons, *(reason for line in lines for reason in line.reasons))),
    )


def _together(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The same reason on several lines is one reason with their sum."""
    sums: dict[tuple[str, str, str], Money] = defaultdict(int)
    for reason in reasons:
        sums[reason.group, reason.code, reason.bucket] += reason.amount
    return tuple(Reason(group=g, code=c, amount=amount, bucket=b) for (g, c, b), amount in sums.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One of the sums that a remittance must pass; `holds` is None when it was not reached."""

    holds: bool | None
    title: str
    detail: str


def checks(remittance: Remittance, imbalances: Sequence[Imbalance], status: str, journals: int) -> tuple[Check, ...]:
    """The four sums of a remittance, in the order in which they are made."""
    bad_lines = [i for i in imbalances if " line " in i.where]
    bad_claims = [i for i in imbalances if i.where.startswith("claim ") and " line " not in i.where]
    bad_file = [i for i in imbalances if i.where == "file"]
    lines = sum(len(claim.lines) for claim in remittance.claims)
    total = len(remittance.claims)
    posted = status == "posted"
    return (
        Check(
            holds=not bad_lines,
            title="Every line adds up" if not bad_lines else f"{len(bad_lines)} of {lines} lines do not add up",
            detail=f"{lines - len(bad_lines)} of {lines}: charge − adjustments = paid",
        ),
        Check(
            holds=not bad_claims,
            title="Every claim adds up" if not bad_claims else f"{len(bad_claims)} of {total} claims do not add up",
            detail=f"{total - len(bad_claims)} of {total}, with its lines",
        ),
        Check(
            holds=not bad_file,
            title="The file adds up" if not bad_file else "The file does not add up",
            detail="claims − provider adjustments = payment",
        ),
        Check(
            holds=True if posted else None,
            title="The ledger adds up" if posted else "Nothing was posted",
            detail=f"{journals} journal{'' if journals == 1 else 's'}, each sums to zero"
            if posted
            else "the whole file waits",
        ),
    )
