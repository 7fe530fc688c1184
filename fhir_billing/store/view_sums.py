"""A number on a screen is summed from the book each time it is looked at; nothing here is stored."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from fhir_billing.cycle.records import Kind, Outcome
from fhir_billing.cycle.views import WITH_PAYER, AccountSum, Books, Counts, PayerSum, Tally, TraceSum
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import State
from fhir_billing.store import two_sides
from fhir_billing.store import view_rows as rows
from fhir_billing.store.tables import biography, claim, inbox, journal, outbox, payment, posting, remittance, visit


def counts(connection: Connection, today: date) -> Counts:
    """What the navigation prints beside each list."""
    states = connection.execute(select(claim.c.state, func.count(), func.sum(claim.c.charge)).group_by(claim.c.state))
    late = select(func.count(), func.sum(claim.c.charge)).where(claim.c.state.in_(WITH_PAYER), claim.c.due < today)
    count, charge = connection.execute(late).one()
    waits = select(func.count()).where(inbox.c.outcome == Outcome.WAITING, inbox.c.kind != Kind.DOORBELL)
    out = select(func.count(), func.min(outbox.c.created_at)).where(outbox.c.status == "waiting")
    parcels, since = connection.execute(out).one()
    owed = [amount for amount in _by_patient(connection).values() if amount > 0]
    return Counts(
        states={state: Tally(count=n, amount=int(total or 0)) for state, n, total in states},
        silent=Tally(count=count, amount=int(charge or 0)),
        quarantined=connection.execute(select(func.count()).where(rows.quarantined())).scalar_one(),
        patients=Tally(count=len(owed), amount=sum(owed)),
        waiting_in=connection.execute(waits).scalar_one(),
        waiting_out=parcels,
        out_since=since,
        chart=two_sides.standing(connection),
    )


def _by_patient(connection: Connection) -> dict[str, int]:
    which = (
        select(posting.c.party, func.sum(posting.c.amount))
        .where(posting.c.account == ledger.RECEIVABLE_PATIENT)
        .group_by(posting.c.party)
    )
    return {party: int(amount) for party, amount in connection.execute(which)}


def called(connection: Connection, name: str) -> str:
    """A payer's name as the charts write it: X12 knows capitals only."""
    which = select(claim.c.payer_name).where(func.upper(claim.c.payer_name) == name.upper()).limit(1)
    return connection.execute(which).scalar() or name


def visits(connection: Connection) -> dict[str, Tally]:
    """Finished visits by outcome."""
    which = (
        select(visit.c.outcome, func.count(), func.sum(visit.c.charge))
        .group_by(visit.c.outcome)
        .order_by(visit.c.outcome)
    )
    return {outcome: Tally(count=n, amount=int(total or 0)) for outcome, n, total in connection.execute(which)}


def since(connection: Connection, since: datetime) -> dict[str, Any]:
    """What happened since then: posted, paid by patients, moved."""
    posted = (remittance.c.status == "posted", remittance.c.at >= since)
    files, paid = connection.execute(select(func.count(), func.sum(remittance.c.paid)).where(*posted)).one()
    decided = (
        select(func.count())
        .select_from(payment)
        .join(remittance, remittance.c.number == payment.c.remittance)
        .where(*posted)
    )
    some = (
        select(func.count(func.distinct(payment.c.claim)), func.sum(payment.c.paid))
        .join(remittance, remittance.c.number == payment.c.remittance)
        .where(*posted, payment.c.paid > 0)
    )
    claims, amount = connection.execute(some).one()
    given = (
        select(func.count(), func.sum(posting.c.amount))
        .join(journal, journal.c.id == posting.c.journal)
        .where(journal.c.key.startswith("pay:"), journal.c.posted_on >= since.date(), posting.c.account == ledger.BANK)
    )
    times, money = connection.execute(given).one()
    came = (
        select(biography.c.end, biography.c.claim)
        .where(biography.c.kind == "move", biography.c.at >= since, biography.c.end != "")
        .distinct()
        .subquery()
    )
    moves = connection.execute(
        select(came.c.end, func.count(), func.sum(claim.c.charge))
        .join(claim, claim.c.number == came.c.claim)
        .group_by(came.c.end)
    )
    return {
        "posted": Tally(count=connection.execute(decided).scalar_one(), amount=int(paid or 0)),
        "paid": Tally(count=claims, amount=int(amount or 0)),
        "remittances": files,
        "patient_paid": Tally(count=times, amount=int(money or 0)),
        "moves": {State(end): Tally(count=n, amount=int(total or 0)) for end, n, total in moves},
    }


def people(connection: Connection) -> dict[str, tuple[str, int, set[str]]]:
    """Patient → name, how many visits, and every number that money may stand under."""
    found: dict[str, tuple[str, int, set[str]]] = {}
    for patient, name, number in connection.execute(select(visit.c.patient, visit.c.patient_name, visit.c.number)):
        _, visits, numbers = found.get(patient, (name, 0, set()))
        found[patient] = (name, visits + 1, numbers | {number})
    for patient, name, number in connection.execute(select(claim.c.patient, claim.c.patient_name, claim.c.number)):
        known, visits, numbers = found.get(patient, (name, 0, set()))
        found[patient] = (known, visits, numbers | {number})
    return found


def books(connection: Connection) -> Books:
    """The three trial balances."""
    total = func.sum(posting.c.amount)
    accounts = {
        account: (int(amount), n)
        for account, amount, n in connection.execute(
            select(posting.c.account, total, func.count()).group_by(posting.c.account)
        )
    }
    homes = select(claim.c.number).union(select(visit.c.number))
    on_claims = select(func.coalesce(total, 0)).where(
        posting.c.account.in_(ledger.RECEIVABLES), posting.c.claim.in_(homes)
    )
    return Books(
        accounts=tuple(
            AccountSum(account=a, amount=accounts[a][0], postings=accounts[a][1])
            for a in ledger.ACCOUNTS
            if a in accounts
        ),
        payers=tuple(_payers(connection)),
        traces=tuple(_traces(connection)),
        receivables=sum(accounts[a][0] for a in ledger.RECEIVABLES if a in accounts),
        on_claims=int(connection.execute(on_claims).scalar_one()),
        journals=connection.execute(select(func.count()).select_from(journal)).scalar_one(),
    )


def _payers(connection: Connection) -> list[PayerSum]:
    names = {
        row.payer: row.payer_name for row in connection.execute(select(claim.c.payer, claim.c.payer_name).distinct())
    }
    which = (
        select(posting.c.party, posting.c.account, posting.c.claim, func.sum(posting.c.amount))
        .where(posting.c.account.in_((ledger.RECEIVABLE_PAYER, ledger.RECEIVABLE_DISPUTED)))
        .group_by(posting.c.party, posting.c.account, posting.c.claim)
    )
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    open_claims: dict[str, set[str]] = defaultdict(set)
    for payer, account, number, amount in connection.execute(which):
        sums[payer][account] += int(amount)
        if amount:
            open_claims[payer].add(number)
    return [
        PayerSum(
            payer=payer,
            payer_name=names.get(payer) or payer,
            owes=found[ledger.RECEIVABLE_PAYER],
            disputed=found[ledger.RECEIVABLE_DISPUTED],
            claims=len(open_claims[payer]),
        )
        for payer, found in sorted(sums.items())
        if any(found.values())
    ]


def _traces(connection: Connection) -> list[TraceSum]:
    clearing = (
        select(posting.c.party, func.sum(posting.c.amount))
        .where(posting.c.account == ledger.CLEARING)
        .group_by(posting.c.party)
    )
    waiting = {trace: int(amount) for trace, amount in connection.execute(clearing)}
    announced: dict[str, TraceSum] = {}
    posted = connection.execute(select(remittance).where(remittance.c.status == "posted").order_by(remittance.c.place))
    for row in posted:
        before = announced.get(row.trace)
        total = row.paid + (before.announced if before else 0)
        left = waiting.get(row.trace, 0)
        announced[row.trace] = TraceSum(
            trace=row.trace,
            payer_name=called(connection, row.payer_name) or row.payer,
            payer=row.payer,
            announced=total,
            banked=total - left,
            waiting=left,
            remittance=row.number,
        )
    lone = [
        TraceSum(trace=trace, payer_name="", announced=0, banked=-left, waiting=left)
        for trace, left in waiting.items()
        if trace not in announced and left
    ]
    return [*announced.values(), *lone]
