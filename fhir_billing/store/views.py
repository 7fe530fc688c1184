"""What the screens read, asked of the tables in a transaction that only looks: it waits for no writer and stops none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from fhir_billing.cycle.arithmetic import BillSums, bill_sums, checks, claim_decided, lines_decided
from fhir_billing.cycle.records import ClaimRecord, Kind, Outcome, Told, VisitRecord
from fhir_billing.cycle.views import (
    NEEDS_SOMEBODY,
    WITH_PAYER,
    Books,
    ClaimPage,
    ClaimRow,
    Counts,
    Decision,
    EnvelopePage,
    EnvelopeRow,
    Found,
    MessagePage,
    MessageRow,
    Origin,
    PatientPage,
    PatientPayment,
    PatientRow,
    RemittancePage,
    RemittanceRow,
    RemittedClaim,
    SilentPayer,
    Today,
    VisitBalance,
    VisitPage,
    next_plans,
    tally,
    told_once,
)
from fhir_billing.domain import ledger
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import BillingError
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money
from fhir_billing.domain.posting import remittance_key
from fhir_billing.domain.remittance import out_of_balance
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.site import Site
from fhir_billing.store import inbox as box
from fhir_billing.store import view_rows as rows
from fhir_billing.store import view_sums as sums
from fhir_billing.store.clinician_views import ClinicianReads
from fhir_billing.store.rows import as_record, columns
from fhir_billing.store.store import SqlStore
from fhir_billing.store.tables import (
    biography,
    claim,
    envelope,
    envelope_claim,
    inbox,
    journal,
    outbox,
    payment,
    posting,
    remittance,
    visit,
)
from fhir_billing.store.two_sides import SidesRead

FOUND = 20
MOST_ID = 2**63
"""What a database can count to."""
NEWEST = 500


class SqlViews(ClinicianReads, SidesRead):
    """Implements `cycle.views.Views`, `cycle.two_sides.TwoSides` and `cycle.clinician.ClinicianViews` over the store's tables."""

    def __init__(self, store: SqlStore, site: Site) -> None:
        self._store, self._site = store, site

    # ---- lists

    def counts(self, today: date) -> Counts:
        """One small question for each number."""
        with self._store.reading() as connection:
            return sums.counts(connection, today)

    def today(self, today: date, since: datetime) -> Today:
        """What waits for a person, and what happened since."""
        with self._store.reading() as connection:
            silent = rows.claim_rows(connection, claim.c.state.in_(WITH_PAYER), claim.c.due < today)
            by_payer: dict[str, list[ClaimRow]] = defaultdict(list)
            for row in silent:
                by_payer[row.payer].append(row)
            return Today(
                counts=sums.counts(connection, today),
                rows=tuple(rows.claim_rows(connection, claim.c.state.in_(NEEDS_SOMEBODY))),
                quarantined=tuple(rows.message_rows(connection, rows.quarantined())),
                silent=tuple(
                    SilentPayer(
                        payer=payer, payer_name=found[0].payer_name or payer, claims=tally(found), since=found[0].due
                    )
                    for payer, found in by_payer.items()
                ),
                visits=sums.visits(connection),
                **sums.since(connection, since),
                since=since,
            )

    def claims(self, states: Iterable[State] | None = None) -> list[ClaimRow]:
        """All claims in these states, or in any, the nearest deadline first."""
        with self._store.reading() as connection:
            return rows.claim_rows(connection, *([] if states is None else [claim.c.state.in_(list(states))]))

    def remittances(self) -> list[RemittanceRow]:
        """Newest first."""
        with self._store.reading() as connection:
            found = connection.execute(select(remittance).order_by(remittance.c.place.desc()).limit(NEWEST)).all()
            copies = _copies(connection)
            return [self._remittance_row(connection, row, copies) for row in _latest(found)]

    def quarantined(self) -> list[MessageRow]:
        """Newest first."""
        with self._store.reading() as connection:
            return rows.message_rows(connection, rows.quarantined())

    def in_vain(self) -> list[MessageRow]:
        """Newest first."""
        with self._store.reading() as connection:
            return rows.message_rows(connection, rows.in_vain())

    def visits(self) -> list[VisitRecord]:
        """Newest first."""
        with self._store.reading() as connection:
            return rows.visit_rows(connection)

    def sent(self) -> list[EnvelopeRow]:
        """Newest first."""
        with self._store.reading() as connection:
            return rows.envelope_rows(connection)

    def patients(self) -> list[PatientRow]:
        """Who owes most first."""
        with self._store.reading() as connection:
            people = sums.people(connection)
            owes, credit = (
                rows.balances(connection, ledger.RECEIVABLE_PATIENT),
                rows.balances(connection, ledger.UNAPPLIED),
            )
            payer, disputed = (
                rows.balances(connection, ledger.RECEIVABLE_PAYER),
                rows.balances(connection, ledger.RECEIVABLE_DISPUTED),
            )
        found = [
            PatientRow(
                patient=patient,
                name=name,
                visits=visits,
                owes=sum(owes.get(n, 0) for n in numbers),
                credit=-sum(credit.get(n, 0) for n in numbers),
                waits=sum(payer.get(n, 0) + disputed.get(n, 0) for n in numbers),
            )
            for patient, (name, visits, numbers) in people.items()
        ]
        return sorted(found, key=lambda row: (-row.owes, row.name))

    # ---- one thing

    def claim(self, number: str) -> ClaimPage | None:
        """Everything that is known of one claim."""
        with self._store.reading() as connection:
            return self._claim(connection, number)

    def _claim(self, connection: Connection, number: str) -> ClaimPage | None:
        found = connection.execute(select(*columns(claim, ClaimRecord)).where(claim.c.number == number)).first()
        if found is None:
            return None
        record = as_record(ClaimRecord, found)
        [row] = rows.claim_rows(connection, claim.c.number == number)
        told = connection.execute(
            select(*columns(biography, Told)).where(biography.c.claim == number).order_by(biography.c.id)
        )
        story = tuple(as_record(Told, line) for line in told)
        resource = loads(record.resource)
        keys = select(envelope_claim.c.envelope).where(envelope_claim.c.claim == number)
        mine = select(posting.c.journal).where(posting.c.claim == number)
        spoken_of = {line.message for line in story if line.message}
        return ClaimPage(
            row=row,
            member_id=record.member_id,
            mapping=record.mapping,
            rank=record.rank,
            replaces=record.replaces,
            billed=record.billed,
            resource=resource,
            bill=_bill(resource),
            sums=bill_sums(rows.entries(connection, [number])[number], record.patient),
            biography=story,
            journals=tuple(rows.journals(connection, journal.c.id.in_(mine))),
            decisions=tuple(self._decisions(connection, [number])[number]),
            envelopes=tuple(reversed(rows.envelope_rows(connection, envelope.c.key.in_(keys)))),
            files={m.id: m for m in rows.message_rows(connection, inbox.c.id.in_(spoken_of))},
            related=tuple(rows.claim_rows(connection, claim.c.encounter == record.encounter, claim.c.number != number)),
            visit=next(iter(rows.visit_rows(connection, visit.c.encounter == record.encounter)), None),
            charted=rows.chart_told(connection, number),
        )

    def _decisions(self, connection: Connection, numbers: Iterable[str]) -> dict[str, list[Decision]]:
        """Claim → what payers said of it, in the order in which it was posted."""
        found: dict[str, list[Decision]] = defaultdict(list)
        which = (
            select(payment.c.claim, payment.c.sequence, remittance)
            .join(remittance, remittance.c.number == payment.c.remittance)
            .where(payment.c.claim.in_(list(numbers)), payment.c.matched)
            .order_by(payment.c.id)
        )
        for row in connection.execute(which):
            said = rows.remittance_of(row).claims[row.sequence]
            found[row.claim].append(
                Decision(
                    remittance=row.number,
                    payer_name=row.payer_name or row.payer,
                    paid_on=row.paid_on,
                    payment=said,
                    whole=claim_decided(said, self._site.carcs),
                    lines=lines_decided(said, self._site.carcs),
                )
            )
        return found

    def elements(self, number: str) -> list[Origin]:
        """For each element of the Claim the mapping line and the resource version it came from."""
        from fhir_billing.cycle.explain import elements

        with self._store.begin() as book:
            found = book.claim(number)
            origins = elements(book, self._site, found) if found else []
        return [Origin(element=str(o["element"]), mapping=str(o["mapping"]), source=str(o["source"])) for o in origins]

    def remittance(self, number: str) -> RemittancePage | None:
        """One remittance with its arithmetic."""
        with self._store.reading() as connection:
            found = connection.execute(select(remittance).where(remittance.c.number == number)).first()
            if found is None:
                return None
            page = self._remittance(connection, found)
            if found.status != "doubted":
                return page
            same = (
                remittance.c.payer == found.payer,
                remittance.c.trace == found.trace,
                remittance.c.status == "posted",
            )
            twin = connection.execute(select(remittance).where(*same).order_by(remittance.c.place)).first()
            return _with_twin(page, self._remittance(connection, twin)) if twin else page

    def _remittance_row(self, connection: Connection, row: Any, copies: list[tuple[int, str, bytes]]) -> RemittanceRow:
        read = rows.remittance_of(row)
        start = f"{remittance_key(read)}:"
        posted = connection.execute(
            select(func.count()).where(journal.c.key.startswith(start, autoescape=True))
        ).scalar_one()
        came = len(rows.arrivals(connection, row.message))
        return RemittanceRow(
            number=row.number,
            payer=row.payer,
            payer_name=sums.called(connection, row.payer_name) or row.payer,
            trace=row.trace,
            paid=row.paid,
            paid_on=row.paid_on,
            status=row.status,
            at=row.at,
            message=row.message,
            claims=len(read.claims),
            say=row.say,
            arrivals=came + len(_duplicates(copies, row)),
            checks=checks(read, out_of_balance(read), row.status, posted if row.status == "posted" else 0),
        )

    def _remittance(self, connection: Connection, row: Any) -> RemittancePage:
        read = rows.remittance_of(row)
        paid = {p.sequence: p for p in connection.execute(select(payment).where(payment.c.remittance == row.number))}
        known = {c.number: c for c in rows.claim_rows(connection, claim.c.number.in_([c.claim for c in read.claims]))}
        start = f"{remittance_key(read)}:"
        posted = (
            rows.journals(connection, journal.c.key.startswith(start, autoescape=True))
            if row.status == "posted"
            else []
        )
        total = select(func.coalesce(func.sum(posting.c.amount), 0))
        clearing = connection.execute(
            total.where(posting.c.account == ledger.CLEARING, posting.c.party == row.trace)
        ).scalar_one()
        claims = []
        for sequence, said in enumerate(read.claims):
            ours, entered = known.get(said.claim), paid.get(sequence)
            claims.append(
                RemittedClaim(
                    payment=said,
                    whole=claim_decided(said, self._site.carcs),
                    lines=lines_decided(said, self._site.carcs),
                    matched=bool(entered.matched) if entered else ours is not None,
                    patient_name=ours.patient_name if ours else "",
                    state=ours.state if ours else None,
                    journal=entered.journal if entered else "",
                )
            )
        copied = _copies(connection)
        copies = [a for message in _duplicates(copied, row) for a in rows.arrivals(connection, message)]
        return RemittancePage(
            row=self._remittance_row(connection, row, copied),
            remittance=read,
            claims=tuple(claims),
            journals=tuple(posted),
            arrivals=tuple(sorted([*rows.arrivals(connection, row.message), *copies], key=lambda a: a.at)),
            imbalances=tuple(out_of_balance(read)),
            sha256=row.sha256,
            banked=row.paid - int(clearing) if row.status == "posted" else 0,
            clearing=int(clearing) if row.status == "posted" else 0,
        )

    def is_kept(self, kind: Kind, key: str) -> bool:
        """Whether a message of this kind came under this key."""
        with self._store.reading() as connection:
            which = select(inbox.c.id).where(inbox.c.kind == kind, inbox.c.key == key)
            return connection.execute(which).first() is not None

    def message(self, message_id: int) -> MessagePage | None:
        """One message with its very bytes."""
        if not 0 < message_id < MOST_ID:
            return None
        with self._store.reading() as connection:
            found = rows.message_rows(connection, inbox.c.id == message_id)
            whole = box.by_id(connection, self._store._bodies, message_id)  # noqa: SLF001 - the same room
            if not found or whole is None:
                return None
            read = select(remittance.c.number).where(remittance.c.message == message_id).order_by(remittance.c.place)
            return MessagePage(
                row=found[0],
                body=whole.body,
                arrivals=rows.arrivals(connection, message_id),
                claims=whole.claims,
                remittances=tuple(connection.execute(read).scalars()),
            )

    def envelope(self, key: str) -> EnvelopePage | None:
        """A file with its very bytes and where its claims are today."""
        with self._store.reading() as connection:
            found = rows.envelope_rows(connection, envelope.c.key == key)
            if not found:
                return None
            left = connection.execute(select(outbox.c.body, outbox.c.sha256).where(outbox.c.key == key)).first()
            body = self._store._bodies.get(left.body, left.sha256) if left else b""  # noqa: SLF001 - the same room
            claims = {row.number: row for row in rows.claim_rows(connection, claim.c.number.in_(found[0].claims))}
            return EnvelopePage(
                row=found[0], body=body, claims=tuple(claims[n] for n in found[0].claims if n in claims)
            )

    def visit(self, encounter: str) -> VisitPage | None:
        """A visit and its claims."""
        with self._store.reading() as connection:
            found = rows.visit_rows(connection, visit.c.encounter == encounter)
            if not found:
                return None
            numbers = connection.execute(
                select(claim.c.number).where(claim.c.encounter == encounter).order_by(claim.c.number)
            )
            pages = [self._claim(connection, number) for number in numbers.scalars()]
            return VisitPage(visit=found[0], claims=tuple(page for page in pages if page))

    def patient(self, patient: str) -> PatientPage | None:
        """A patient's balance, visit by visit, newest first."""
        with self._store.reading() as connection:
            claims = {row.number: row for row in rows.claim_rows(connection, claim.c.patient == patient)}
            visits = {v.encounter: v for v in rows.visit_rows(connection, visit.c.patient == patient)}
            if not claims and not visits:
                return None
            billed = {row.encounter for row in claims.values()}
            alone = {v.number: v for v in visits.values() if v.encounter not in billed}
            numbers = [*claims, *alone]
            entered, said = rows.entries(connection, numbers), self._decisions(connection, numbers)
            paid = rows.journals(connection, journal.c.claim.in_(numbers), journal.c.key.startswith("pay:"))
            balances = []
            for number in numbers:
                row = claims.get(number)
                seen = visits.get(row.encounter) if row else alone[number]
                last = said[number][-1] if said[number] else None
                balance_of = bill_sums(entered[number], patient)
                balances.append(
                    VisitBalance(
                        number=number,
                        encounter=row.encounter if row else alone[number].encounter,
                        outcome=seen.outcome if seen else "billed",
                        served_on=row.served_on if row else alone[number].served_on,
                        what=seen.what if seen else "",
                        practitioner=seen.practitioner if seen else "",
                        payer_name=row.payer_name if row else "",
                        state=row.state if row else None,
                        charge=row.charge if row else alone[number].charge,
                        sums=balance_of,
                        reasons=tuple(r for r in last.whole.reasons if r.bucket == "patient") if last else (),
                        payments=tuple(_payment(j) for j in paid if j.claim == number),
                        next_plans=self._next_plans(connection, row, balance_of),
                    )
                )
        balances = told_once(balances)
        balances = [b for b in balances if b.state is not State.VOIDED or b.sums.charge]
        balances.sort(key=lambda b: (b.served_on or date.min, b.number), reverse=True)
        first = next(iter(visits.values()), None)
        name = first.patient_name if first else next(iter(claims.values())).patient_name
        return PatientPage(
            patient=patient, name=name, birth=first.patient_birth if first else None, visits=tuple(balances)
        )

    def _next_plans(
        self, connection: Connection, row: ClaimRow | None, owed: BillSums
    ) -> tuple[tuple[str, Money], ...]:
        if row is None or all(payer == row.payer for payer, _ in owed.owed_by):
            return ()
        text = connection.execute(select(claim.c.resource).where(claim.c.number == row.number)).scalar_one()
        return next_plans(_bill(loads(text)), owed)

    def books(self) -> Books:
        """The three trial balances."""
        with self._store.reading() as connection:
            return sums.books(connection)

    def find(self, words: str) -> list[Found]:
        """By claim, visit, remittance, trace or file number, or by name; at most twenty."""
        like, number = words.strip(), words.strip().upper()
        if not like:
            return []
        with self._store.reading() as connection:
            claims = rows.claim_rows(connection, claim.c.number.startswith(number, autoescape=True))[:FOUND]
            named = func.lower(visit.c.patient_name).contains(like.lower(), autoescape=True)
            seen = rows.visit_rows(
                connection,
                or_(named, visit.c.encounter.endswith(f"/{like}", autoescape=True), visit.c.number == number),
            )
            either = or_(remittance.c.number == number, remittance.c.trace.startswith(like, autoescape=True))
            paid = connection.execute(
                select(remittance.c.number, remittance.c.payer_name, remittance.c.trace).where(either)
            ).all()
            files = rows.envelope_rows(
                connection,
                or_(envelope.c.key.startswith(number, autoescape=True), envelope.c.interchange == like.zfill(9)),
            )
        people = {v.patient: v for v in seen if like.lower() in v.patient_name.lower()}
        found = [Found(what="claim", label=r.number, detail=f"{r.payer_name}, {r.state}", key=r.number) for r in claims]
        found += [Found(what="patient", label=v.patient_name, detail="balance", key=v.patient) for v in people.values()]
        found += [
            Found(what="visit", label=v.number, detail=f"{v.what}, {v.outcome}", key=v.encounter)
            for v in seen
            if v.patient not in people
        ]
        found += [
            Found(what="remittance", label=r.number, detail=f"{r.payer_name}, {r.trace}", key=r.number) for r in paid
        ]
        found += [Found(what="file", label=e.key, detail=f"{e.kind} to {e.partner}", key=e.key) for e in files]
        return found[:FOUND]


def _with_twin(page: RemittancePage, twin: RemittancePage) -> RemittancePage:
    return replace(page, twin=twin)


def _bill(resource: dict[str, Any]) -> Claim | None:
    try:
        return read_claim(resource)
    except (BillingError, KeyError, IndexError, StopIteration, ValueError):
        return None  # the page shows the resource itself


def _payment(entry: ledger.Journal) -> PatientPayment:
    amount = sum(p.amount for p in entry.postings if p.account == ledger.BANK)
    return PatientPayment(on=entry.posted_on, amount=amount, because=entry.because)


def _copies(connection: Connection) -> list[tuple[int, str, bytes]]:
    """Messages that were found to hold a remittance that was posted already: number, hash, bytes."""
    which = select(inbox.c.id, inbox.c.sha256, inbox.c.body).where(
        inbox.c.kind == Kind.FILE, inbox.c.outcome == Outcome.DUPLICATE
    )
    found = connection.execute(which.order_by(inbox.c.id.desc()).limit(NEWEST))
    return [(row.id, row.sha256, bytes(row.body)) for row in found if row.body is not None]


def _duplicates(copies: list[tuple[int, str, bytes]], row: Any) -> list[int]:
    """Those of them that speak of this remittance in other bytes, such as other line breaks."""
    if row.status != "posted":
        return []
    trace = row.trace.encode()
    return [number for number, sha256, body in copies if sha256 != row.sha256 and trace in body]


def _latest(found: Iterable[Any]) -> list[Any]:
    """Newest first; one that was refused again on retry is shown once."""
    seen: set[tuple[int, str]] = set()
    kept = []
    for row in found:
        if row.status == "posted" or (row.message, row.digest) not in seen:
            kept.append(row)
        seen.add((row.message, row.digest))
    return kept
