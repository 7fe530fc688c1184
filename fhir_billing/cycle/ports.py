"""What the story needs from the world. Adapters live in store, ehr, payers; wiring.py is where they meet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from fhir_billing.cycle.looking import Remembered, Subscribed
from fhir_billing.cycle.records import (
    Arrival,
    AskedRecord,
    ClaimRecord,
    DifferenceRecord,
    EnvelopeRecord,
    FollowerRecord,
    HeardRecord,
    Kind,
    Message,
    NoticeRecord,
    OutboxRecord,
    Outcome,
    PaymentRecord,
    ProposalRecord,
    RemittanceRecord,
    Told,
    VisitRecord,
    WrittenRecord,
)
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money


class Clock(Protocol):
    """Time comes in here and nowhere else."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A file that lies at a channel; `token` is how the channel knows it again."""

    name: str
    body: bytes
    token: str


class Channel(Protocol):
    """A way to a payer or clearinghouse. It moves sealed envelopes and never opens one."""

    name: str

    def send(self, name: str, body: bytes) -> str:
        """Hand the bytes over; the same name and bytes again are harmless. Returns a receipt. Raises ChannelUnavailable."""
        ...

    def fetch(self) -> Iterable[Waiting]:
        """The files that wait for us, oldest first."""
        ...

    def took(self, token: str) -> None:
        """The file is kept in our inbox: the channel may put it away. Calling twice is harmless."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A visit that somebody says has changed: which one, and in which version of the chart if that is known."""

    encounter: str
    """`Encounter/ID`."""
    version: str = ""
    status: str = ""
    """Encounter.status as the trigger saw it; empty when it did not. Only to tell what is worth reading: the visit is read again."""
    at: str = ""
    """When the chart changed, an instant as the EHR writes it."""
    digest: str = ""
    """Of what was seen, where the chart has no version: the same again is no news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A visit as the book has it, in the few words that the nightly comparison needs."""

    encounter: str
    version: str = ""
    """The chart's version that was read last."""
    outcome: str = ""
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look brought, and where the next one goes on."""

    sightings: tuple[Sighting, ...]
    cursor: str
    findings: tuple[Mapping[str, str], ...] = ()
    """What could not be read, for a person to see: `key`, `say`, `fix`, `at`, and `body`, the very text."""
    renew: bool = False
    """Whether the EHR must be asked to ring anew: its subscription is off, in error or gone."""


class Trigger(Protocol):
    """One way to learn that a visit has closed, reopened or gone."""

    @property
    def name(self) -> str:
        """What a visit says of who found it: poll, topic, sweep or bulk."""
        ...

    def look(self, cursor: str, now: datetime) -> Looked:
        """What is new since the cursor that the last look gave (empty at first). Raises NotNow to be asked again later."""
        ...


class ChartReader(Protocol):
    """Reads a visit from a chart, with the rights that whoever asks has there."""

    def gather(self, encounter: str) -> list[dict[str, Any]]:
        """All resources that the visit's bill needs, as read. `encounter` is `Encounter/ID`. Raises EhrUnavailable, RateLimited."""
        ...

    def check(self) -> str:
        """What the EHR says it is, after a token was had; raises what stands in the way."""
        ...


class EhrReader(ChartReader, Protocol):
    """Reads the EHR as the billing service, and learns of closed visits."""

    def subscribe(self, endpoint: str, secret: str, *, way: str = "hook") -> Subscribed:
        """Ask the EHR to ring when a visit closes: `hook` and `topic` at an address, `websocket` where we listen."""
        ...

    def unsubscribe(
        self, endpoint: str, *, ways: Collection[str], kept: Collection[str], before: Collection[str]
    ) -> set[str]:
        """End what rings for us in other ways, or elsewhere, than what is kept; the ids of what cannot be ended. Raises NotNow."""
        ...

    def listen(self, subscription: str, stopped: Callable[[], bool]) -> Iterator[bytes]:
        """The notifications of a websocket subscription as they come, until the line breaks. Raises EhrUnavailable."""
        ...

    def triggers(self, remembered: Remembered) -> Sequence[Trigger]:
        """The ways in which this EHR is looked at for closed visits; those that ring by themselves are not among them."""
        ...

    def visits(self, since: date, until: date) -> Iterator[Sighting]:
        """Every visit of these days in any status, and what changed lately, as a stream; one may come twice. Raises EhrUnavailable."""
        ...

    def touched(self, since: date) -> Iterator[Sighting]:
        """Visits of which a charge, procedure or diagnosis changed since then, whether or not the visit itself did. Raises EhrUnavailable."""
        ...

    def sight(self, encounter: str) -> Sighting | None:
        """One visit as it is in the chart now; None when the chart has it no more."""
        ...


class EhrWriter(Protocol):
    """Writes into the clinical record what a person decided; of a claim it is told by a rung of the ladder."""

    def lay(self, encounter: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> str:
        """Read a visit now, and write what the change makes of it where it differs. `written`, or what the EHR does not take."""
        ...


class Book(Protocol):
    """One open transaction on the store. Everything a message decides happens through one Book, and commits or not at all."""

    # inbox
    def next_message(self) -> Message | None:
        """The oldest waiting message that decides something (not a doorbell), locked: one is worked at a time, in order."""
        ...

    def message(self, message_id: int) -> Message | None: ...
    def arrivals(self, message_id: int) -> list[Arrival]: ...
    def settle(
        self,
        message: Message,
        outcome: Outcome,
        *,
        say: str = "",
        claims: Sequence[str] = (),
        findings: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """The message is worked: gives it its place in the order of work."""
        ...

    # visits and claims
    def visit(self, encounter: str) -> VisitRecord | None: ...
    def visit_numbered(self, number: str) -> VisitRecord | None:
        """The visit whose bill is kept under this number."""
        ...

    def save_visit(self, visit: VisitRecord) -> None:
        """Insert or replace by encounter."""
        ...

    def visits(self) -> list[VisitRecord]:
        """All, oldest service first."""
        ...

    def claim(self, number: str) -> ClaimRecord | None:
        """Locked for this transaction."""
        ...

    def claims(
        self, *, states: Iterable[State] | None = None, encounter: str | None = None, patient: str | None = None
    ) -> list[ClaimRecord]:
        """By number; each given condition narrows."""
        ...

    def claims_after(self, number: str, *, limit: int = 500) -> list[ClaimRecord]:
        """So many claims behind a number, in the store's own order of numbers: a large book is read in pieces."""
        ...

    def visits_from(self, number: str, *, patient: str | None = None, limit: int = 500) -> list[VisitRecord]:
        """So many visits (of a patient) from a number on, in the store's own order of numbers."""
        ...

    def save_claim(self, claim: ClaimRecord) -> ClaimRecord:
        """Insert (version 0) or update; raises StaleVersion when somebody saved first. Returns it with its new version."""
        ...

    def tell(self, line: Told) -> None:
        """Add a line to a claim's biography."""
        ...

    def biography(self, claim: str) -> list[Told]:
        """Oldest first."""
        ...

    # ledger
    def post(self, journal: Journal, message: int) -> bool:
        """Enter a journal once by its key; False when it is there already."""
        ...

    def balances(self, claim: str) -> dict[str, Money]:
        """Account → balance of this claim, zeros left out."""
        ...

    def journals(self, claim: str | None = None) -> list[Journal]:
        """In the order they were entered."""
        ...

    def clearing(self, trace: str) -> dict[str, Money]:
        """Claim number (or "" for the payer's own sums) → what a trace number still has in clearing."""
        ...

    # remittances
    def remittances(
        self, *, payer: str | None = None, trace: str | None = None, number: str | None = None
    ) -> list[RemittanceRecord]: ...
    def next_remittance_number(self) -> str:
        """`R-1`, `R-2` …, in the order they come."""
        ...

    def save_remittance(self, remittance: RemittanceRecord) -> None: ...
    def save_payment(self, payment: PaymentRecord) -> None: ...
    def payments(self, claim: str | None = None) -> list[PaymentRecord]: ...
    def payments_of(self, claims: Sequence[str]) -> list[PaymentRecord]:
        """What was paid for any of these claims, in the order in which it was entered."""
        ...

    def payments_in(self, remittance: str) -> list[PaymentRecord]:
        """What one remittance paid, in its order."""
        ...

    # envelopes and outbox
    def take_control(self, partner: str, what: str, count: int = 1) -> int:
        """The first of `count` control numbers that this partner has never seen (`what`: interchange, group, set)."""
        ...

    def save_envelope(self, envelope: EnvelopeRecord) -> None: ...
    def envelopes(
        self,
        *,
        key: str | None = None,
        interchange: str | None = None,
        group: str | None = None,
        claim: str | None = None,
    ) -> list[EnvelopeRecord]: ...
    def queue(self, *, kind: str, key: str, destination: str, body: bytes, at: datetime, claim: str = "") -> None:
        """Put bytes into the outbox, once by key."""
        ...

    # questions to clinicians
    def save_asked(self, asked: AskedRecord) -> None:
        """Insert or replace by key."""
        ...

    def asked(
        self, *, key: str | None = None, encounter: str | None = None, claim: str | None = None
    ) -> list[AskedRecord]:
        """Questions that were asked or answered, oldest first; each given condition narrows."""
        ...

    # the chart and we
    def save_difference(self, difference: DifferenceRecord) -> None:
        """Insert or replace by key."""
        ...

    def differences(self, *, encounter: str | None = None, only_open: bool = False) -> list[DifferenceRecord]:
        """Where the chart and the book disagree, oldest first."""
        ...

    def save_proposal(self, proposal: ProposalRecord) -> None:
        """Insert or replace by key."""
        ...

    def proposals(self, *, claim: str | None = None, only_open: bool = False) -> list[ProposalRecord]:
        """What a changed chart asks for after its claim left, oldest first."""
        ...

    def save_written(self, written: WrittenRecord) -> None:
        """Insert or replace by owner and kind."""
        ...

    def written(self, owner: str) -> list[WrittenRecord]:
        """What the chart holds of us for a claim (or a visit), by kind."""
        ...

    def save_heard(self, heard: HeardRecord) -> None:
        """Insert or replace by key."""
        ...

    def heard(self, visit: str) -> list[HeardRecord]:
        """Charges that arrived by HL7 v2 for a visit (`Encounter/id`), in the order of their keys."""
        ...

    # apps that follow claims
    def save_follower(self, follower: FollowerRecord) -> None:
        """Insert or replace by id."""
        ...

    def follower(self, which: str) -> FollowerRecord | None:
        """One subscription, locked for this transaction."""
        ...

    def followers(self, *, app: str | None = None) -> list[FollowerRecord]:
        """Subscriptions of other apps, oldest first."""
        ...

    def save_notice(self, notice: NoticeRecord) -> None:
        """Insert; the same follower and number again changes nothing."""
        ...

    def notices(self, follower: str, *, after: int = 0) -> list[NoticeRecord]:
        """What a follower was told, by number."""
        ...

    # the rest
    def audit(self, *, at: datetime, who: str, what: str, about: str = "", why: str = "") -> None:
        """Add a line to the hash-chained audit trail."""
        ...


class Answering(Protocol):
    """An open transaction that answers doorbells."""

    def keep(self, key: str, body: bytes, *, at: datetime, name: str, who: str) -> bool:
        """Keep a visit as it was read; False when the same was known."""
        ...

    def done(self, message_id: int, say: str) -> None:
        """Answered."""
        ...


class Store(Protocol):
    """The store: makes Books, keeps what arrives before anything looks at it, and knows what must leave."""

    def begin(self) -> AbstractContextManager[Book]:
        """A transaction: commits at the end of the block, rolls back on an exception."""
        ...

    def keep(
        self, kind: Kind, key: str, body: bytes, *, at: datetime, channel: str = "", name: str = "", who: str = ""
    ) -> tuple[Message, bool]:
        """Keep raw bytes, in a transaction of its own; False when this kind and key are known (the arrival is noted all the same)."""
        ...

    def anything_waits(self) -> bool:
        """Whether a message waits to be worked; asking takes no lock."""
        ...

    def keep_all(self, bells: Sequence[tuple[str, bytes]], *, at: datetime, channel: str, who: str) -> None:
        """Keep many doorbells, by key, in one transaction; those that are known are noted all the same."""
        ...

    def doorbells(self, now: datetime) -> list[Message]:
        """Doorbells that wait and may be tried now, oldest first."""
        ...

    def answering(self) -> AbstractContextManager[Answering]:
        """One transaction in which what was read is kept and the doorbells that asked for it end."""
        ...

    def doorbell_done(self, message_id: int, say: str) -> None: ...
    def doorbell_later(self, message_id: int, say: str, retry_at: datetime) -> None: ...

    def failed(self, message_id: int, say: str, findings: Sequence[Mapping[str, object]] = ()) -> None:
        """Working the message raised: it is quarantined whole, in a transaction of its own."""
        ...

    def retry(self, message_id: int) -> None:
        """A person wants a quarantined message worked again."""
        ...

    def due(self, now: datetime, limit: int = 50) -> list[OutboxRecord]:
        """What must leave now, oldest first, at most one write-back a claim: the latest, older ones are marked as overtaken."""
        ...

    def left(self, outbox_id: int, receipt: str, at: datetime) -> None:
        """It has left."""
        ...

    def stays(self, outbox_id: int, say: str, retry_at: datetime) -> None:
        """It has not left yet; try again then."""
        ...

    def known(self, since: date, until: date) -> Iterator[Known]:
        """The visits of these days, and those without a day, as the book has them."""
        ...

    def cursor(self, name: str) -> str: ...
    def set_cursor(self, name: str, value: str) -> None: ...


class Vault(Protocol):
    """Keeps short-lived secrets that all processes share: logins on their way, sessions, tokens, used-up nonces. Encrypted where they rest."""

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keep a value under a key for so long; the same key again replaces it."""
        ...

    def get(self, key: str) -> bytes | None:
        """The value; None when it is not there, has ended, or was encrypted with another secret."""
        ...

    def take(self, key: str) -> bytes | None:
        """The value, once: of two that ask at the same moment one gets it."""
        ...

    def first(self, key: str, *, seconds: int) -> bool:
        """True the first time that this key is named within so long, and False after that."""
        ...

    def drop(self, key: str) -> None:
        """Forget it; harmless when it is not there."""
        ...


class Habits(Protocol):
    """What a clinician keeps at hand and has used before. It decides nothing: it only orders what a search finds."""

    def favourites(self, who: str, table: str) -> list[str]:
        """Codes that somebody keeps at hand, of one table (`diagnosis` or `charge`)."""
        ...

    def keep(self, who: str, code: str, table: str) -> None:
        """Keep a code at hand; twice is harmless."""
        ...

    def let_go(self, who: str, code: str) -> None:
        """Keep it no longer; harmless when it was not kept."""
        ...

    def used(self, *names: str) -> dict[str, int]:
        """Code → how often whoever goes by one of these names has answered with it."""
        ...
