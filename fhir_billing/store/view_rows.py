"""A list is one question to the database: the rows that several screens share, without a claim's or a file's bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from fhir_billing.cycle.arithmetic import Entry
from fhir_billing.cycle.records import Arrival, Kind, Outcome, VisitRecord
from fhir_billing.cycle.views import ChartTold, ClaimRow, EnvelopeRow, MessageRow, complaints
from fhir_billing.domain import ledger
from fhir_billing.domain.ledger import Journal, Posting
from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import Remittance
from fhir_billing.store.rows import as_record, columns
from fhir_billing.store.tables import arrival, claim, envelope, inbox, journal, outbox, posting, visit

_CLAIM: Final = (
    "number",
    "encounter",
    "patient",
    "patient_name",
    "payer",
    "payer_name",
    "kind",
    "state",
    "charge",
    "served_on",
    "due",
    "file_by",
    "entered_at",
    "icn",
    "attempt",
)
_MESSAGE: Final = ("id", "kind", "key", "at", "outcome", "sha256", "name", "channel", "who", "say", "attempts", "size")


def claim_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[ClaimRow]:
    """Claims as lists show them, the nearest deadline first."""
    picked = [claim.c[name] for name in _CLAIM]
    which = (
        select(*picked, claim.c.findings)
        .where(*conditions)
        .order_by(claim.c.due.is_(None), claim.c.due, claim.c.number)
    )
    found = connection.execute(which).all()
    owed = balances(connection, ledger.RECEIVABLE_PATIENT)
    disputed = balances(connection, ledger.RECEIVABLE_DISPUTED)
    return [
        ClaimRow(
            **{name: getattr(row, name) for name in _CLAIM},
            findings=complaints(row.findings),
            patient_owes=owed.get(row.number, 0),
            disputed=disputed.get(row.number, 0),
        )
        for row in found
    ]


def balances(connection: Connection, account: str) -> dict[str, Money]:
    """Claim → balance of one account, where it is not zero."""
    total = func.sum(posting.c.amount)
    which = (
        select(posting.c.claim, total).where(posting.c.account == account).group_by(posting.c.claim).having(total != 0)
    )
    return {number: int(amount) for number, amount in connection.execute(which)}


def entries(connection: Connection, numbers: Iterable[str]) -> dict[str, list[Entry]]:
    """Claim → its postings."""
    found: dict[str, list[Entry]] = defaultdict(list)
    which = (
        select(posting.c.claim, journal.c.key, posting.c.account, posting.c.party, posting.c.amount)
        .join(journal, journal.c.id == posting.c.journal)
        .where(posting.c.claim.in_(list(numbers)))
        .order_by(posting.c.id)
    )
    for number, key, account, party, amount in connection.execute(which):
        found[number].append(Entry(journal=key, account=account, party=party, amount=amount))
    return found


def journals(connection: Connection, *conditions: ColumnElement[bool]) -> list[Journal]:
    """Whole journals, in the order they were entered."""
    heads = connection.execute(select(journal).where(*conditions).order_by(journal.c.id)).all()
    if not heads:
        return []
    sides: dict[int, list[Posting]] = defaultdict(list)
    which = (
        select(posting)
        .where(posting.c.journal.in_([head.id for head in heads]))
        .order_by(posting.c.journal, posting.c.place)
    )
    for row in connection.execute(which):
        sides[row.journal].append(Posting(account=row.account, amount=row.amount, claim=row.claim, party=row.party))
    return [
        Journal(
            key=head.key,
            posted_on=head.posted_on,
            effective_on=head.effective_on,
            because=head.because,
            reverses=head.reverses,
            claim=head.claim,
            postings=tuple(sides[head.id]),
        )
        for head in heads
    ]


def message_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[MessageRow]:
    """Inbox messages without their bytes, newest first."""
    picked = [inbox.c[name] for name in _MESSAGE]
    which = select(*picked, inbox.c.findings).where(*conditions).order_by(inbox.c.id.desc())
    return [
        MessageRow(**{**_named(row, _MESSAGE), **_words(row)}, findings=complaints(row.findings))
        for row in connection.execute(which)
    ]


def quarantined() -> ColumnElement[bool]:
    """What a person must look at."""
    return inbox.c.outcome == Outcome.QUARANTINED


def in_vain() -> ColumnElement[bool]:
    """Doorbells that were answered in vain and wait to be answered again."""
    return and_(inbox.c.outcome == Outcome.WAITING, inbox.c.kind == Kind.DOORBELL, inbox.c.attempts > 0)


def _words(row: Any) -> dict[str, Any]:
    return {"kind": str(row.kind), "outcome": str(row.outcome)}


def _named(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def arrivals(connection: Connection, message: int) -> tuple[Arrival, ...]:
    """How and when a message came, first to last."""
    which = select(*columns(arrival, Arrival)).where(arrival.c.message == message).order_by(arrival.c.id)
    return tuple(as_record(Arrival, row) for row in connection.execute(which))


def envelope_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[EnvelopeRow]:
    """Files as they left or wait to leave, newest first."""
    which: Select[Any] = (
        select(
            envelope,
            outbox.c.destination,
            outbox.c.sent_at,
            outbox.c.receipt,
            outbox.c.say,
            outbox.c.attempts,
            outbox.c.size,
        )
        .outerjoin(outbox, (outbox.c.key == envelope.c.key) & (outbox.c.kind == "envelope"))
        .where(*conditions)
        .order_by(envelope.c.id.desc())
    )
    names = ("key", "partner", "kind", "interchange", "group", "sets", "sha256", "at", "sent_at")
    return [
        EnvelopeRow(
            **{name: row._mapping[name] for name in names},  # noqa: SLF001 - SQLAlchemy's documented name for it
            destination=row.destination or "",
            receipt=row.receipt or "",
            say=row.say or "",
            attempts=row.attempts or 0,
            size=row.size or 0,
        )
        for row in connection.execute(which)
    ]


def visit_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[VisitRecord]:
    """Visits, newest service first."""
    which = select(*columns(visit, VisitRecord)).where(*conditions)
    found = [as_record(VisitRecord, row) for row in connection.execute(which)]
    return sorted(found, key=lambda v: (v.served_on or date.min, v.number), reverse=True)


def remittance_of(row: Any) -> Remittance:
    """The remittance as it was read, with its amounts and places."""
    return msgspec.json.decode(row.content, type=Remittance, strict=False)


def chart_told(connection: Connection, number: str) -> ChartTold | None:
    """What the chart was last told of a claim, or why the latest word waits."""
    told = outbox.c.kind.in_(["write-back", "hl7"]) & (outbox.c.claim == number) & (outbox.c.status != "overtaken")
    which = select(outbox.c.receipt, outbox.c.say, outbox.c.sent_at).where(told).order_by(outbox.c.id.desc()).limit(1)
    row = connection.execute(which).first()
    if row is None:
        return None
    return ChartTold(say=row.receipt, at=row.sent_at) if row.sent_at else ChartTold(say=row.say or "it waits to leave")
