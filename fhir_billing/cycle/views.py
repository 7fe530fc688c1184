"""A screen shows what the book holds and decides nothing: each read model here is one page's worth, in the trade's words.

Frozen, without links to rows. `Views` is what the store answers; `Acts` is what a page may ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol

from fhir_billing.cycle.arithmetic import BillSums, Check, LineDecided, Reason
from fhir_billing.cycle.records import Arrival, Told, VisitRecord
from fhir_billing.domain import ledger
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.lifecycle import OWNERS, State
from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import ClaimPayment, Imbalance, Remittance

NEEDS_SOMEBODY = (State.HELD, State.REJECTED, State.QUERIED, State.DENIED)
"""States in which nothing happens until a person does something."""
WITH_PAYER = (State.SENT, State.RECEIVED, State.ACCEPTED, State.PENDED, State.APPEALED)
"""States in which the payer has the next word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A finding as the book keeps it."""

    key: str
    severity: str = "blocking"
    say: str = ""
    at: str = ""
    fix: str = ""
    fix_by: str = "biller"
    source: str = ""
    resource: str = ""


def complaints(rows: Iterable[Mapping[str, object]]) -> tuple[Complaint, ...]:
    """Findings from their rows; what a row does not say stays empty."""
    names = ("severity", "say", "at", "fix", "fix_by", "source", "resource")
    return tuple(
        Complaint(key=str(row.get("key", "")), **{name: str(row[name]) for name in names if row.get(name)})
        for row in rows
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """A claim as a list shows it."""

    number: str
    encounter: str
    patient: str
    patient_name: str
    payer: str
    payer_name: str
    kind: str
    state: State
    charge: Money
    served_on: date | None = None
    due: date | None = None
    file_by: date | None = None
    entered_at: datetime | None = None
    findings: tuple[Complaint, ...] = ()
    icn: str = ""
    attempt: int = 0
    patient_owes: Money = 0
    """What the ledger still asks of the patient, where the list knows it."""
    disputed: Money = 0
    """What the payer refused and nobody has given up."""

    @property
    def stake(self) -> Money:
        """What is lost if nothing happens: of a denied claim what is in dispute, else all of it."""
        return self.disputed if self.state is State.DENIED else self.charge

    @property
    def finding(self) -> Complaint | None:
        """The worst one: it is the reason that stands in the row."""
        return self.findings[0] if self.findings else None

    @property
    def owner(self) -> str:
        """Who acts next: a held claim belongs to whoever can mend its worst finding."""
        if self.state is State.HELD and self.finding:
            return self.finding.fix_by
        if self.state in {State.PAID, State.CLOSED} and self.patient_owes > 0:
            return "patient"
        return OWNERS[self.state].value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many, and what they are worth."""

    count: int = 0
    amount: Money = 0


def tally(rows: Iterable[ClaimRow]) -> Tally:
    """Count and charge of some claims."""
    listed = list(rows)
    return Tally(count=len(listed), amount=sum(row.charge for row in listed))


def at_stake(rows: Iterable[ClaimRow]) -> Tally:
    """Count of some claims, and what can still be lost of them."""
    listed = list(rows)
    return Tally(count=len(listed), amount=sum(row.stake for row in listed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the navigation prints beside each list."""

    states: Mapping[State, Tally] = field(default_factory=dict)
    silent: Tally = Tally()
    """Sent, and not answered by the day an answer was due."""
    quarantined: int = 0
    patients: Tally = Tally()
    """Patients who owe, and how much."""
    waiting_in: int = 0
    """Messages that are kept and not worked yet."""
    waiting_out: int = 0
    """Bytes that should have left and have not."""
    out_since: datetime | None = None
    chart: int = 0
    """Differences between the chart and the book, and proposals, that wait for somebody."""

    def of(self, states: Iterable[State]) -> Tally:
        """Several states together."""
        found = [self.states.get(state, Tally()) for state in states]
        return Tally(count=sum(t.count for t in found), amount=sum(t.amount for t in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """An inbox message as a list shows it."""

    id: int
    kind: str
    key: str
    at: datetime
    outcome: str
    sha256: str
    name: str = ""
    channel: str = ""
    who: str = ""
    say: str = ""
    findings: tuple[Complaint, ...] = ()
    attempts: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """One message with its very bytes."""

    row: MessageRow
    body: bytes
    arrivals: tuple[Arrival, ...] = ()
    claims: tuple[str, ...] = ()
    remittances: tuple[str, ...] = ()
    """Numbers of the remittances that were read from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentPayer:
    """A payer that should have said something by now."""

    payer: str
    payer_name: str
    claims: Tally
    since: date | None
    """The first day on which an answer was due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What must be done, and what happened."""

    counts: Counts
    rows: tuple[ClaimRow, ...] = ()
    """Every claim that waits for a person here, and every silent one."""
    quarantined: tuple[MessageRow, ...] = ()
    silent: tuple[SilentPayer, ...] = ()
    visits: Mapping[str, Tally] = field(default_factory=dict)
    """Finished visits by outcome: billed, held, self-pay, not billable, voided."""
    posted: Tally = Tally()
    """Money of the remittances that posted since `since`, and how many claims they decided."""
    remittances: int = 0
    patient_paid: Tally = Tally()
    moves: Mapping[State, Tally] = field(default_factory=dict)
    """How many claims came into each state since `since`."""
    paid: Tally = Tally()
    """Claims that payers paid something for since `since`, and those payments; what was taken back is not among them."""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a payer said of a claim in one remittance."""

    remittance: str
    payer_name: str
    paid_on: date | None
    payment: ClaimPayment
    whole: LineDecided
    lines: tuple[LineDecided, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeRow:
    """A file as it left, or as it waits to leave."""

    key: str
    partner: str
    kind: str
    interchange: str
    group: str
    sets: Mapping[str, tuple[str, ...]]
    sha256: str
    at: datetime | None = None
    destination: str = ""
    sent_at: datetime | None = None
    receipt: str = ""
    say: str = ""
    attempts: int = 0
    size: int = 0

    @property
    def claims(self) -> tuple[str, ...]:
        """Every claim in it, in order."""
        return tuple(number for numbers in self.sets.values() for number in numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopePage:
    """A file with its very bytes and where its claims are today."""

    row: EnvelopeRow
    body: bytes
    claims: tuple[ClaimRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartTold:
    """What the chart was last told of a claim."""

    say: str
    """The rung and what was written; or why nothing was written yet."""
    at: datetime | None = None
    """When; None: it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPage:
    """Everything that is known of one claim."""

    row: ClaimRow
    member_id: str = ""
    mapping: str = ""
    rank: str = "P"
    replaces: str = ""
    billed: Money = 0
    resource: Mapping[str, Any] = field(default_factory=dict)
    """The FHIR Claim it is built from."""
    bill: Claim | None = None
    """The same in the trade's words; None when it cannot be read."""
    sums: BillSums = field(default_factory=BillSums)
    biography: tuple[Told, ...] = ()
    """Oldest first."""
    journals: tuple[Journal, ...] = ()
    decisions: tuple[Decision, ...] = ()
    envelopes: tuple[EnvelopeRow, ...] = ()
    files: Mapping[int, MessageRow] = field(default_factory=dict)
    """The messages that the biography speaks of."""
    related: tuple[ClaimRow, ...] = ()
    visit: VisitRecord | None = None
    charted: ChartTold | None = None
    """None: there was nothing to tell."""

    @property
    def next_plans(self) -> tuple[tuple[str, Money], ...]:
        """Plans after this claim's own that owe something, by name."""
        return next_plans(self.bill, self.sums)


def next_plans(bill: Claim | None, sums: BillSums) -> tuple[tuple[str, Money], ...]:
    """What waits for a plan that comes after the billed one: its name and the amount."""
    later = {i.payer.id: i.payer.name or i.payer.id for i in bill.insurance[1:]} if bill else {}
    return tuple((later[payer], amount) for payer, amount in sums.owed_by if payer in later)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one element of a Claim came from."""

    element: str
    mapping: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittanceRow:
    """A remittance as a list shows it."""

    number: str
    payer: str
    payer_name: str
    trace: str
    paid: Money
    paid_on: date | None
    status: str
    at: datetime
    message: int
    claims: int = 0
    say: str = ""
    arrivals: int = 1
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittedClaim:
    """One claim of a remittance, with what was done about it."""

    payment: ClaimPayment
    whole: LineDecided
    lines: tuple[LineDecided, ...] = ()
    matched: bool = False
    patient_name: str = ""
    state: State | None = None
    journal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittancePage:
    """A remittance with its arithmetic."""

    row: RemittanceRow
    remittance: Remittance
    claims: tuple[RemittedClaim, ...] = ()
    journals: tuple[Journal, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    imbalances: tuple[Imbalance, ...] = ()
    sha256: str = ""
    banked: Money = 0
    """What the bank has shown for this trace."""
    clearing: Money = 0
    """What is announced and not in the bank yet."""
    twin: RemittancePage | None = None
    """The one that was posted under the same trace number with other content."""

    @property
    def claims_paid(self) -> Money:
        """Σ CLP04."""
        return sum(claim.payment.paid for claim in self.claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSum:
    """One account's balance; debit above zero."""

    account: str
    amount: Money
    postings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerSum:
    """What one payer owes or disputes."""

    payer: str
    payer_name: str
    owes: Money
    disputed: Money
    claims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSum:
    """Money that a payer announced under a trace number, and what the bank has shown of it."""

    trace: str
    payer_name: str
    payer: str = ""
    announced: Money
    banked: Money
    waiting: Money
    remittance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The three trial balances that close a day."""

    accounts: tuple[AccountSum, ...] = ()
    payers: tuple[PayerSum, ...] = ()
    traces: tuple[TraceSum, ...] = ()
    receivables: Money = 0
    """Σ receivable accounts of the ledger."""
    on_claims: Money = 0
    """Σ what the claim pages call open, claim by claim."""
    journals: int = 0

    @property
    def total(self) -> Money:
        """Zero, or the book is broken."""
        return sum(line.amount for line in self.accounts)

    @property
    def clearing(self) -> Money:
        """Balance of the clearing account."""
        return sum(line.amount for line in self.accounts if line.account == ledger.CLEARING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """A patient's balance as a list shows it."""

    patient: str
    name: str
    visits: int
    owes: Money
    credit: Money
    waits: Money
    """What the payers still have to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPayment:
    """Money that a patient gave."""

    on: date
    amount: Money
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitBalance:
    """One visit on a patient's page: what it cost, who paid, and why the rest is theirs."""

    number: str
    encounter: str
    outcome: str
    served_on: date | None = None
    what: str = ""
    practitioner: str = ""
    payer_name: str = ""
    state: State | None = None
    charge: Money = 0
    sums: BillSums = field(default_factory=BillSums)
    reasons: tuple[Reason, ...] = ()
    """The PR adjustments of the last payer in turn."""
    payments: tuple[PatientPayment, ...] = ()
    next_plans: tuple[tuple[str, Money], ...] = ()
    """Plans that come after the billed one and still owe something."""
    began_as: str = ""
    """The claim that was made first, where the bill goes on to another plan as this one."""
    began_with: str = ""


def told_once(visits: Iterable[VisitBalance]) -> list[VisitBalance]:
    """A bill that went on to another plan is one story with the bill that it goes on as: a visit is not told twice."""
    kept = {visit.number: visit for visit in visits}
    for old in list(kept.values()):
        if old.sums.moved >= 0 or old.sums.open or old.sums.credit:
            continue
        on = next((v for v in kept.values() if v.encounter == old.encounter and v.sums.moved > 0), None)
        if on:
            del kept[old.number]
            kept[on.number] = replace(
                on,
                sums=old.sums.with_(on.sums),
                payments=(*old.payments, *on.payments),
                began_as=old.began_as or old.number,
                began_with=old.began_with or old.payer_name,
            )
    return list(kept.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPage:
    """A patient's balance, visit by visit, newest first."""

    patient: str
    name: str
    birth: date | None = None
    visits: tuple[VisitBalance, ...] = ()

    @property
    def owes(self) -> Money:
        """What is theirs to pay now."""
        return sum(visit.sums.patient_owes for visit in self.visits)

    @property
    def credit(self) -> Money:
        """What they have paid that no bill has used."""
        return sum(visit.sums.credit for visit in self.visits)

    @property
    def waits(self) -> Money:
        """What a payer has still to decide."""
        return sum(visit.sums.payer_owes + visit.sums.disputed for visit in self.visits)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPage:
    """A visit as the clinician sees it."""

    visit: VisitRecord
    claims: tuple[ClaimPage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that a search found. `what` is claim, patient, remittance, file or visit."""

    what: str
    label: str
    detail: str
    key: str


class Views(Protocol):
    """What the screens read. Each method is one page's worth; the store answers, nothing is decided."""

    def counts(self, today: date) -> Counts: ...
    def today(self, today: date, since: datetime) -> Today: ...
    def claims(self, states: Iterable[State] | None = None) -> list[ClaimRow]:
        """All claims in these states (or in any), the nearest deadline first."""
        ...

    def claim(self, number: str) -> ClaimPage | None: ...
    def elements(self, number: str) -> list[Origin]:
        """For each element of the Claim the mapping line and the resource version it came from."""
        ...

    def remittances(self) -> list[RemittanceRow]:
        """Newest first."""
        ...

    def remittance(self, number: str) -> RemittancePage | None: ...
    def quarantined(self) -> list[MessageRow]:
        """Messages that broke their own rules or that a person must look at, newest first."""
        ...

    def in_vain(self) -> list[MessageRow]:
        """Doorbells whose visit could not be read so far; each is tried again by itself."""
        ...

    def message(self, message_id: int) -> MessagePage | None: ...
    def books(self) -> Books: ...
    def visits(self) -> list[VisitRecord]:
        """Every finished visit, newest first."""
        ...

    def patients(self) -> list[PatientRow]:
        """Who owes most first."""
        ...

    def patient(self, patient: str) -> PatientPage | None:
        """By reference, `Patient/ID`."""
        ...

    def sent(self) -> list[EnvelopeRow]:
        """Newest first."""
        ...

    def envelope(self, key: str) -> EnvelopePage | None: ...
    def visit(self, encounter: str) -> VisitPage | None:
        """By reference, `Encounter/ID`."""
        ...

    def find(self, words: str) -> list[Found]:
        """By claim, visit, remittance, trace or file number, or by name; at most twenty."""
        ...


class Acts(Protocol):
    """What a person may do. Each act is kept as a message before it is worked, and each look is written down."""

    def act(self, kind: str, facts: Mapping[str, Any], who: str, key: str) -> None:
        """Keep the act under the form's own key and work it; the same key again does nothing. Raises BillingError when it cannot be."""
        ...

    def retry(self, message: int, who: str) -> None:
        """Work a quarantined message again."""
        ...

    def ring(self, encounter: str, who: str) -> None:
        """A page shows a finished visit that the book has not read: it is read now; at most once a minute."""
        ...

    def audit(self, who: str, what: str, about: str = "") -> None:
        """Write down who looked at what."""
        ...

    def end_session(self, session: str) -> None:
        """This session signed out: every copy of its cookie is worth nothing from now on."""
        ...

    def is_over(self, session: str) -> bool:
        """Whether this session has signed out."""
        ...
