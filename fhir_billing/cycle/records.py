"""What the book remembers, one record for each kind of row; the shape that cycle and store agree on.

A record is plain data. Times are aware and in UTC; days are local to the site; money is whole cents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money


class Kind(StrEnum):
    """What an inbox message is. All but `doorbell` decide something, so `replay` works through them."""

    DOORBELL = "doorbell"
    """The EHR rang: its body is never trusted, the visit is read again."""
    VISIT = "visit"
    """A visit's resources as read from the EHR."""
    FILE = "file"
    """Bytes from a payer or clearinghouse: TA1, 999, 277CA, 277, 835."""
    ACT = "act"
    """What a person did: JSON with `act` and its facts."""
    TIMER = "timer"
    """A clock that rang: JSON with `timer`."""
    RECEIPT = "receipt"
    """A channel took an envelope: JSON with `envelope` and `receipt`."""


class Outcome(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DONE = "done"
    POSTED = "posted"
    ACKNOWLEDGED = "acknowledged"
    DUPLICATE = "duplicate"
    TEST = "test"
    UNMATCHED = "unmatched"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One inbox row. `key` is unique within its kind; `at` is when it arrived, and the clock of everything it decides."""

    id: int
    kind: Kind
    key: str
    at: datetime
    body: bytes
    sha256: str
    channel: str = ""
    name: str = ""
    who: str = ""
    outcome: Outcome = Outcome.WAITING
    say: str = ""
    claims: tuple[str, ...] = ()
    findings: tuple[Mapping[str, object], ...] = ()
    attempts: int = 0
    worked: int | None = None
    """The order in which messages were worked; replay follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The same bytes may arrive by several routes: each is shown, one is worked."""

    message: int
    at: datetime
    channel: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRecord:
    """A finished visit, accounted for: `outcome` is billed, held, self-pay, not billable or voided."""

    encounter: str
    number: str
    """The claim number that the visit's bill is kept under (without suffix)."""
    outcome: str
    found_by: str = ""
    """Which trigger found it first: hook, topic, websocket, poll, sweep, bulk, hl7v2, cds-hook, reconcile, hand."""
    patient: str = ""
    patient_name: str = ""
    patient_birth: date | None = None
    served_on: date | None = None
    what: str = ""
    """office, emergency, telehealth, inpatient… in the site's words."""
    practitioner: str = ""
    charge: Money = 0
    digest: str = ""
    """SHA-256 of the visit message that it was last drafted from."""
    message: int = 0
    version: str = ""
    """The chart's version of the Encounter (meta.versionId) that was last read."""
    changed_after_send: bool = False
    findings: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """One claim: its state, what was billed, and the FHIR Claim it is built from (`resource`, JSON text)."""

    number: str
    """CLM01."""
    encounter: str
    patient: str
    patient_name: str
    member_id: str
    payer: str
    payer_name: str
    kind: str
    """837P or 837I."""
    state: State
    charge: Money
    resource: bytes
    served_on: date | None = None
    rank: str = "P"
    icn: str = ""
    mapping: str = ""
    """`claim-professional@2.1.0+site.3#sha256`."""
    findings: tuple[Mapping[str, object], ...] = ()
    attempt: int = 0
    """How often it has left; a new attempt has new control numbers."""
    billed: Money = 0
    """What the ledger has been asked of the payer for this claim."""
    due: date | None = None
    """The day by which its owner must act, or by which an answer is due."""
    file_by: date | None = None
    """The last day of the filing window."""
    entered_at: datetime | None = None
    """When it came into this state."""
    replaces: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of a claim's biography. `kind` is file, finding, move, journal, person or send."""

    claim: str
    at: datetime
    kind: str
    what: str
    who: str = ""
    sha256: str = ""
    message: int = 0
    start: str = ""
    event: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeRecord:
    """One interchange as it leaves: control numbers, the claims of each transaction set, and the very bytes (kept in the outbox)."""

    key: str
    """`PARTNER-837P-000000001`, unique."""
    partner: str
    kind: str
    interchange: str
    group: str
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """ST02 → claim numbers."""
    sha256: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittanceRecord:
    """One 835 transaction set as it was posted or refused. `number` is our own, `R-` and digits."""

    number: str
    payer: str
    payer_name: str
    trace: str
    digest: str
    paid: Money
    paid_on: date | None
    status: str
    """posted, quarantined or doubted (same trace, other bytes)."""
    message: int
    at: datetime
    sha256: str = ""
    say: str = ""
    content: bytes = b""
    """The remittance as JSON, for the page that shows its arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """One posted CLP: the row that `ledger` sums."""

    remittance: str
    sequence: int
    claim: str
    """CLP01 as written; our claim number when `matched`."""
    payer: str
    status: str
    charge: Money
    paid: Money
    adjustments: Mapping[str, Money] = field(default_factory=dict)
    """CAS by group as written, reversals negative."""
    icn: str = ""
    matched: bool = True
    journal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRecord:
    """Bytes that must leave: an `envelope` for a payer's channel, or a `write-back` for the EHR."""

    id: int
    kind: str
    key: str
    destination: str
    body: bytes
    claim: str = ""
    attempts: int = 0
    created_at: datetime | None = None
    sent_at: datetime | None = None
    receipt: str = ""
    say: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRecord:
    """A question that a coder or biller put to a clinician, or one that the bill itself asked and somebody answered."""

    key: str
    """The question's key."""
    encounter: str
    patient: str = ""
    asked_of: str = ""
    """`Practitioner/ID`, or empty: whoever treats the patient."""
    claim: str = ""
    asked_by: str = ""
    asked_at: datetime | None = None
    question: bytes = b""
    """The question as it was asked, JSON."""
    answer: bytes = b""
    """The answer, JSON; empty: none yet."""
    answered_at: datetime | None = None
    answered_by: str = ""
    charted: str = ""
    message: int = 0
    """The message that asked or answered last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRecord:
    """The chart and the book disagree about a visit; a worklist item until they agree again or a person says why not."""

    key: str
    """`missing:Encounter/ID`: what differs, and of which visit."""
    encounter: str
    kind: str
    """missing (closed in the chart, unknown here), changed (newer in the chart), gone (known here, not finished or not there
    any more)."""
    say: str
    found_at: datetime
    closed_at: datetime | None = None
    closed_by: str = ""
    """fhir-billing when the two agree again, else the person."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecord:
    """The chart changed after its claim left: what a replacement would say, field by field, or that the claim should be void."""

    key: str
    """Claim number and the digest of the visit that asks for it."""
    claim: str
    kind: str
    """replace or void."""
    made_at: datetime
    fields: tuple[Mapping[str, object], ...] = ()
    """`at` (FHIR path), `what` (in words), `was`, `now`, as people read them."""
    resource: bytes = b""
    """The Claim as it would leave now."""
    status: str = "open"
    """open, accepted, dismissed or overtaken."""
    decided_at: datetime | None = None
    decided_by: str = ""
    why: str = ""
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRecord:
    """One resource that the chart holds of us, as we last wrote it."""

    owner: str
    """The claim's number, or the visit's for what tells of a whole visit."""
    kind: str
    reference: str
    version: str
    digest: str
    rung: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardRecord:
    """A charge that an HL7 v2 message brought, as a ChargeItem, for an EHR whose FHIR has none."""

    key: str
    """Sender, visit and transaction id (FT1-2), else message control id and place of the FT1."""
    visit: str
    """`Encounter/id`: the visit that the EHR showed for the message."""
    resource: bytes
    at: datetime
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerRecord:
    """Another app's subscription to the status of claims."""

    id: str
    app: str
    topic: str
    endpoint: str
    filters: Mapping[str, str] = field(default_factory=dict)
    header: bytes = b""
    """What each notification must carry, sealed."""
    content: str = "id-only"
    """empty, id-only or full-resource."""
    status: str = "requested"
    """requested, active, error or off."""
    heartbeat: int = 0
    """Seconds; 0: none."""
    events: int = 0
    made_at: datetime | None = None
    said_at: datetime | None = None
    """When something was last delivered."""
    say: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRecord:
    """One event that a follower is told of."""

    follower: str
    number: int
    at: datetime
    claim: str
    state: str
