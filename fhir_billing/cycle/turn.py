"""One message has the book to itself for one turn: what it moves, tells, posts and queues commits together or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import ClaimRecord, Message, Outcome, Told
from fhir_billing.domain import ledger, posting
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.lifecycle import Event, Moved, State, move
from fhir_billing.mapping.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a message."""

    outcome: Outcome
    say: str = ""
    findings: tuple[Mapping[str, object], ...] = ()
    claims: tuple[str, ...] = ()
    """Whom it speaks of, when nothing was touched."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """The book, the message and the site, while one message is worked."""

    book: Book
    message: Message
    site: Site
    touched: dict[str, None] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """The message's own time: the only clock a decision may look at."""
        return self.message.at

    @property
    def today(self) -> date:
        """The site's local date."""
        return self.site.local(self.at)

    @property
    def who(self) -> str:
        """The person who did it, or the program itself."""
        return self.message.who or "fhir-billing"

    def tell(self, claim: str, kind: str, what: str, *, who: str = "", sha256: str = "") -> None:
        """Add a line to the claim's biography."""
        self.book.tell(
            Told(
                claim=claim,
                at=self.at,
                kind=kind,
                what=what,
                who=who or self.who,
                sha256=sha256 or self.message.sha256,
                message=self.message.id,
            )
        )

    def move(self, claim: ClaimRecord, event: Event, because: str, *, who: str = "", **changes: Any) -> ClaimRecord:
        """Move a claim, or note that the news changes nothing. Raises IllegalMove when it is our own move and the table forbids it."""
        result = move(claim.state, event)
        if not isinstance(result, Moved):
            self.tell(claim.number, "file", f"{because}. Nothing changes: {result.because}", who=who)
            return self.save(replace(claim, **changes)) if changes else claim
        moved = replace(claim, **changes, state=result.end, entered_at=self.at)
        moved = self.save(replace(moved, due=self.due(moved)))
        self.book.tell(
            Told(
                claim=claim.number,
                at=self.at,
                kind="move",
                what=because,
                who=who or self.who,
                sha256=self.message.sha256,
                message=self.message.id,
                start=result.start,
                event=result.event,
                end=result.end,
            )
        )
        return moved

    def save(self, claim: ClaimRecord) -> ClaimRecord:
        """Save a claim and remember that the chart must hear of it."""
        self.touched[claim.number] = None
        return self.book.save_claim(claim)

    def due(self, claim: ClaimRecord) -> date | None:
        """The day by which the owner of this state must act, or an answer is due (house rule: every row has a clock)."""
        profile = self.site.payer(claim.payer)
        match claim.state:
            case State.HELD | State.READY | State.DRAFTED | State.REJECTED:
                return claim.file_by
            case State.QUEUED:
                return self.today
            case State.SENT | State.RECEIVED:
                return self.today + profile.acknowledgment_due
            case State.ACCEPTED | State.PENDED | State.APPEALED:
                return self.today + profile.answer_due
            case State.QUERIED:
                return self.today + timedelta(days=14)
            case State.DENIED:
                return self.today + profile.appeals[0].within
            case _:
                return None

    def post(self, journal: Journal | None) -> bool:
        """Enter a journal; its claims' biographies say so."""
        if journal is None or not self.book.post(journal, self.message.id):
            return False
        for claim in dict.fromkeys([journal.claim, *(p.claim for p in journal.postings)]):
            if claim:
                self.tell(claim, "journal", journal.because)
        return True

    def settle_patient(self, claim: str, patient: str, key: str) -> None:
        """Keep what the patient paid beside what the patient owes: a waiting copay is applied, money no longer owed is theirs again."""
        balances = self.book.balances(claim)
        self.post(
            posting.unapplied_moved(
                key=key,
                claim=claim,
                patient=patient,
                owed=balances.get(ledger.RECEIVABLE_PATIENT, 0),
                unapplied=-balances.get(ledger.UNAPPLIED, 0),
                on=self.today,
            )
        )

    def settle_claim(self, claim: ClaimRecord) -> ClaimRecord:
        """Close a claim on which nothing is owed: all balances are zero, or, when it was denied, nothing is in dispute any more."""
        if claim.state not in {State.PAID, State.DENIED}:
            return claim
        balances = self.book.balances(claim.number)
        open_accounts = {*ledger.RECEIVABLES, ledger.CLEARING, ledger.UNAPPLIED}
        if claim.state is State.DENIED:  # what the patient still owes is no work for whoever fought the denial
            open_accounts = {ledger.RECEIVABLE_PAYER, ledger.RECEIVABLE_DISPUTED}
        if any(account in open_accounts for account in balances):
            return claim
        return self.move(claim, Event.SETTLE, "Nothing is owed by the payer or in dispute any more")


def facts(message: Message) -> dict[str, Any]:
    """The JSON object in an act, timer or receipt."""
    try:
        found = json.loads(message.body)
    except ValueError as error:
        raise MalformedResource("this message is not JSON", fix="send a JSON object") from error
    if not isinstance(found, dict):
        raise MalformedResource("this message is not a JSON object", fix="send a JSON object")
    return found


def as_rows(findings: Sequence[Any]) -> tuple[Mapping[str, object], ...]:
    """Findings as the book keeps them."""
    return tuple(
        {
            "key": f.key,
            "severity": f.severity.name.lower(),
            "say": f.say,
            "at": f.at,
            "fix": f.fix,
            "fix_by": f.fix_by.value,
            "source": f.source,
            "resource": f.resource,
        }
        for f in findings
    )
