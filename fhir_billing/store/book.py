"""One open transaction on the store: everything that a message decides goes through one Book, and commits or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Result, Select, Table, select

from fhir_billing.cycle.records import (
    Arrival,
    AskedRecord,
    ClaimRecord,
    DifferenceRecord,
    EnvelopeRecord,
    FollowerRecord,
    HeardRecord,
    Message,
    NoticeRecord,
    Outcome,
    PaymentRecord,
    ProposalRecord,
    RemittanceRecord,
    Told,
    VisitRecord,
    WrittenRecord,
)
from fhir_billing.domain.errors import StaleVersion
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money
from fhir_billing.store import audit, inbox, ledger, outbox, tables
from fhir_billing.store.bodies import Bodies
from fhir_billing.store.rows import (
    Record,
    Shape,
    add,
    all_of,
    as_record,
    change,
    enter,
    insert,
    one_locked,
    those,
    upsert,
    values,
)

NEW = 0
"""The version of a claim that was never saved."""


class SqlBook:
    """Implements `cycle.ports.Book` on a connection whose transaction somebody else ends."""

    def __init__(self, connection: Connection, bodies: Bodies) -> None:
        self.connection = connection
        self._bodies = bodies
        self._audited: list[audit.Line] = []

    def close(self) -> None:
        """What is written last: the audit trail, under its lock."""
        audit.append(self.connection, self._audited)
        self._audited = []

    # inbox

    def next_message(self) -> Message | None:
        return inbox.next_message(self.connection, self._bodies)

    def message(self, message_id: int) -> Message | None:
        return inbox.by_id(self.connection, self._bodies, message_id)

    def arrivals(self, message_id: int) -> list[Arrival]:
        return inbox.arrivals(self.connection, message_id)

    def settle(
        self,
        message: Message,
        outcome: Outcome,
        *,
        say: str = "",
        claims: Sequence[str] = (),
        findings: Sequence[Mapping[str, object]] = (),
    ) -> None:
        inbox.settle(self.connection, message.id, outcome, say=say, claims=claims, findings=findings)

    # visits and claims

    def visit(self, encounter: str) -> VisitRecord | None:
        return self._only(VisitRecord, tables.visit, encounter=encounter)

    def visit_numbered(self, number: str) -> VisitRecord | None:
        return self._only(VisitRecord, tables.visit, number=number)

    def save_visit(self, visit: VisitRecord) -> None:
        upsert(self.connection, tables.visit, values(tables.visit, visit))

    def visits(self) -> list[VisitRecord]:
        found = self._all(VisitRecord, self._of(VisitRecord, tables.visit))
        return sorted(found, key=lambda visit: (visit.served_on or date.max, visit.encounter))

    def claim(self, number: str) -> ClaimRecord | None:
        which = one_locked(ClaimRecord, tables.claim, "number")
        return self._first(ClaimRecord, self.connection.execute(which, {"number": number}))

    def claims(
        self, *, states: Iterable[State] | None = None, encounter: str | None = None, patient: str | None = None
    ) -> list[ClaimRecord]:
        if states is None:
            found = self._where(ClaimRecord, tables.claim, encounter=encounter, patient=patient)
        else:
            which = self._of(ClaimRecord, tables.claim).where(tables.claim.c.state.in_(list(states)))
            found = self._all(ClaimRecord, _narrowed(which, tables.claim, encounter=encounter, patient=patient))
        return sorted(found, key=lambda claim: claim.number)  # here, because each database has its own order of letters

    def claims_after(self, number: str, *, limit: int = 500) -> list[ClaimRecord]:
        row = tables.claim.c
        return self._all(
            ClaimRecord,
            self._of(ClaimRecord, tables.claim).where(row.number > number).order_by(row.number).limit(limit),
        )

    def visits_from(self, number: str, *, patient: str | None = None, limit: int = 500) -> list[VisitRecord]:
        row = tables.visit.c
        which = self._of(VisitRecord, tables.visit).where(row.number >= number)
        which = _narrowed(which, tables.visit, patient=patient)
        return self._all(VisitRecord, which.order_by(row.number, row.encounter).limit(limit))

    def save_claim(self, claim: ClaimRecord) -> ClaimRecord:
        row = tables.claim
        saved = replace(claim, version=claim.version + 1)
        if claim.version == NEW:
            done = enter(self.connection, row, values(row, saved), returning=("number",)).first() is not None
        else:
            done = change(self.connection, row, values(row, saved), number=claim.number, version=claim.version)
        if not done:
            raise StaleVersion(f"somebody else changed {claim.number} first", fix="look at it again, then decide")
        return saved

    def tell(self, line: Told) -> None:
        add(self.connection, tables.biography, values(tables.biography, line))

    def biography(self, claim: str) -> list[Told]:
        return self._where(Told, tables.biography, "id", claim=claim)

    # ledger

    def post(self, journal: Journal, message: int) -> bool:
        return ledger.post(self.connection, journal, message)

    def balances(self, claim: str) -> dict[str, Money]:
        return ledger.balances(self.connection, claim)

    def journals(self, claim: str | None = None) -> list[Journal]:
        return ledger.journals(self.connection, claim)

    def clearing(self, trace: str) -> dict[str, Money]:
        return ledger.clearing(self.connection, trace)

    # remittances

    def remittances(
        self, *, payer: str | None = None, trace: str | None = None, number: str | None = None
    ) -> list[RemittanceRecord]:
        return self._where(RemittanceRecord, tables.remittance, "place", payer=payer, trace=trace, number=number)

    def next_remittance_number(self) -> str:
        return f"R-{self.take_control('', 'remittance')}"

    def save_remittance(self, remittance: RemittanceRecord) -> None:
        place = int(remittance.number.rpartition("-")[2])
        upsert(self.connection, tables.remittance, {**values(tables.remittance, remittance), "place": place})

    def save_payment(self, payment: PaymentRecord) -> None:
        add(self.connection, tables.payment, values(tables.payment, payment))

    def payments(self, claim: str | None = None) -> list[PaymentRecord]:
        return self._where(PaymentRecord, tables.payment, "id", claim=claim)

    def payments_in(self, remittance: str) -> list[PaymentRecord]:
        return self._where(PaymentRecord, tables.payment, "sequence", "id", remittance=remittance)

    def payments_of(self, claims: Sequence[str]) -> list[PaymentRecord]:
        row = tables.payment
        return self._all(PaymentRecord, self._of(PaymentRecord, row).where(row.c.claim.in_(claims)).order_by(row.c.id))

    # envelopes and outbox

    def take_control(self, partner: str, what: str, count: int = 1) -> int:
        row = tables.control_number
        taken = insert(self.connection, row).values(partner=partner, what=what, last=count)
        taken = taken.on_conflict_do_update(index_elements=["partner", "what"], set_={"last": row.c.last + count})
        last = self.connection.execute(taken.returning(row.c.last)).scalar_one()
        return int(last) - count + 1

    def save_envelope(self, envelope: EnvelopeRecord) -> None:
        row = tables.envelope
        held = values(row, envelope)
        known = insert(self.connection, row).values(held).on_conflict_do_update(index_elements=["key"], set_=held)
        self.connection.execute(known)
        inside = [
            {"envelope": envelope.key, "claim": c} for c in dict.fromkeys(c for s in envelope.sets.values() for c in s)
        ]
        if inside:
            self.connection.execute(insert(self.connection, tables.envelope_claim).on_conflict_do_nothing(), inside)

    def envelopes(
        self,
        *,
        key: str | None = None,
        interchange: str | None = None,
        group: str | None = None,
        claim: str | None = None,
    ) -> list[EnvelopeRecord]:
        row, inside = tables.envelope, tables.envelope_claim
        which = self._of(EnvelopeRecord, row).order_by(row.c.id)
        if claim is not None:
            which = which.where(row.c.key.in_(select(inside.c.envelope).where(inside.c.claim == claim)))
        return self._all(EnvelopeRecord, _narrowed(which, row, key=key, interchange=interchange, group=group))

    def queue(self, *, kind: str, key: str, destination: str, body: bytes, at: datetime, claim: str = "") -> None:
        outbox.queue(
            self.connection, self._bodies, kind=kind, key=key, destination=destination, body=body, at=at, claim=claim
        )

    # questions to clinicians

    def save_asked(self, asked: AskedRecord) -> None:
        upsert(self.connection, tables.asked, values(tables.asked, asked))

    def asked(
        self, *, key: str | None = None, encounter: str | None = None, claim: str | None = None
    ) -> list[AskedRecord]:
        return self._where(AskedRecord, tables.asked, "message", "key", key=key, encounter=encounter, claim=claim)

    # the chart and we

    def save_difference(self, difference: DifferenceRecord) -> None:
        upsert(self.connection, tables.difference, values(tables.difference, difference))

    def differences(self, *, encounter: str | None = None, only_open: bool = False) -> list[DifferenceRecord]:
        row = tables.difference
        if not only_open:
            return self._where(DifferenceRecord, row, "found_at", "key", encounter=encounter)
        which = self._of(DifferenceRecord, row).order_by(row.c.found_at, row.c.key)
        which = which.where(row.c.closed_at.is_(None))
        return self._all(DifferenceRecord, _narrowed(which, row, encounter=encounter))

    def save_proposal(self, proposal: ProposalRecord) -> None:
        upsert(self.connection, tables.proposal, values(tables.proposal, proposal))

    def proposals(self, *, claim: str | None = None, only_open: bool = False) -> list[ProposalRecord]:
        row = tables.proposal
        which = self._of(ProposalRecord, row).order_by(row.c.made_at, row.c.key)
        return self._all(ProposalRecord, _narrowed(which, row, claim=claim, status="open" if only_open else None))

    def save_written(self, written: WrittenRecord) -> None:
        upsert(self.connection, tables.written, values(tables.written, written))

    def written(self, owner: str) -> list[WrittenRecord]:
        return self._where(WrittenRecord, tables.written, "kind", owner=owner)

    def save_heard(self, heard: HeardRecord) -> None:
        upsert(self.connection, tables.heard, values(tables.heard, heard))

    def heard(self, visit: str) -> list[HeardRecord]:
        return self._where(HeardRecord, tables.heard, "key", visit=visit)

    # apps that follow claims

    def save_follower(self, follower: FollowerRecord) -> None:
        row = tables.follower
        held = {**values(row, follower), "id": follower.id}  # its id is a word, not a row's number
        upsert(self.connection, row, held)

    def follower(self, which: str) -> FollowerRecord | None:
        row = tables.follower
        return self._one(FollowerRecord, self._of(FollowerRecord, row).where(row.c.id == which).with_for_update())

    def followers(self, *, app: str | None = None) -> list[FollowerRecord]:
        return self._where(FollowerRecord, tables.follower, "made_at", "id", app=app)

    def save_notice(self, notice: NoticeRecord) -> None:
        row = tables.notice
        self.connection.execute(insert(self.connection, row).values(values(row, notice)).on_conflict_do_nothing())

    def notices(self, follower: str, *, after: int = 0) -> list[NoticeRecord]:
        row = tables.notice
        which = self._of(NoticeRecord, row).where(row.c.follower == follower, row.c.number > after)
        return self._all(NoticeRecord, which.order_by(row.c.number))

    # the rest

    def audit(self, *, at: datetime, who: str, what: str, about: str = "", why: str = "") -> None:
        self._audited.append(audit.Line(at=at, who=who, what=what, about=about, why=why))

    @staticmethod
    def _of(record: type[Record], table: Table) -> Select[Any]:
        return all_of(cast("Shape", record), table)

    def _where(self, record: type[Record], table: Table, *order: str, **wanted: str | None) -> list[Record]:
        """Those that have the given values, in this order."""
        given = {name: value for name, value in wanted.items() if value is not None}
        found = self.connection.execute(those(cast("Shape", record), table, tuple(given), order), given)
        return [as_record(record, row) for row in found]

    def _only(self, record: type[Record], table: Table, **wanted: str) -> Record | None:
        return self._first(record, self.connection.execute(those(cast("Shape", record), table, tuple(wanted)), wanted))

    def _all(self, record: type[Record], which: Select[Any]) -> list[Record]:
        return [as_record(record, row) for row in self.connection.execute(which)]

    def _one(self, record: type[Record], which: Select[Any]) -> Record | None:
        return self._first(record, self.connection.execute(which))

    @staticmethod
    def _first(record: type[Record], found: Result[Any]) -> Record | None:
        row = found.first()
        return as_record(record, row) if row else None


def _narrowed(which: Select[Any], table: Table, **wanted: str | None) -> Select[Any]:
    """Only rows that have the given values."""
    for name, value in wanted.items():
        if value is not None:
            which = which.where(table.c[name] == value)
    return which
