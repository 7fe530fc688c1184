"""The ledger on disk: what is entered stays entered, and the database itself sees to it.

The postings of a journal go in first and the journal last; a trigger sums them then, and refuses any later one. Balances
are summed on demand.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, func, or_, select, text

from fhir_billing.domain import ledger
from fhir_billing.domain.ledger import Journal, Posting
from fhir_billing.domain.money import Money
from fhir_billing.store.tables import journal, posting


def post(connection: Connection, entry: Journal, message: int) -> bool:
    """Enter it once by its key."""
    if connection.execute(select(journal.c.id).where(journal.c.key == entry.key)).first():
        return False
    number = _next_number(connection)
    connection.execute(
        posting.insert(),
        [
            {
                "journal": number,
                "place": place,
                "account": p.account,
                "amount": p.amount,
                "claim": p.claim,
                "party": p.party,
            }
            for place, p in enumerate(entry.postings)
        ],
    )
    connection.execute(
        journal.insert().values(
            id=number,
            key=entry.key,
            posted_on=entry.posted_on,
            effective_on=entry.effective_on,
            because=entry.because,
            reverses=entry.reverses,
            claim=entry.claim,
            message=message,
        )
    )
    return True


def _next_number(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT nextval('journal_id_seq')")).scalar_one())
    return int(connection.execute(select(func.coalesce(func.max(journal.c.id), 0) + 1)).scalar_one())


def balances(connection: Connection, claim: str) -> dict[str, Money]:
    """Account → what this claim has there."""
    which = select(posting.c.account, func.sum(posting.c.amount)).where(posting.c.claim == claim)
    return _not_zero(connection, which.group_by(posting.c.account))


def clearing(connection: Connection, trace: str) -> dict[str, Money]:
    """Claim → what this trace number still has in clearing."""
    mine = (posting.c.account == ledger.CLEARING, posting.c.party == trace)
    which = select(posting.c.claim, func.sum(posting.c.amount)).where(*mine)
    return _not_zero(connection, which.group_by(posting.c.claim))


def _not_zero(connection: Connection, which: Any) -> dict[str, Money]:
    sums = sorted(
        tuple(row) for row in connection.execute(which)
    )  # here, because each database has its own order of letters
    return {name: int(amount) for name, amount in sums if amount}


def journals(connection: Connection, claim: str | None = None) -> list[Journal]:
    """As they were entered; of one claim those that name it, in whole."""
    which = select(journal).order_by(journal.c.id)
    if claim is not None:
        naming = select(posting.c.journal).where(posting.c.claim == claim)
        which = which.where(or_(journal.c.claim == claim, journal.c.id.in_(naming)))
    rows = connection.execute(which).all()
    sides = select(posting).order_by(posting.c.journal, posting.c.place)
    if claim is not None:
        sides = sides.where(posting.c.journal.in_([row.id for row in rows]))
    by_journal: dict[int, list[Posting]] = defaultdict(list)
    for side in connection.execute(sides):
        by_journal[side.journal].append(
            Posting(account=side.account, amount=side.amount, claim=side.claim, party=side.party)
        )
    return [
        Journal(
            key=row.key,
            posted_on=row.posted_on,
            effective_on=row.effective_on,
            because=row.because,
            reverses=row.reverses,
            claim=row.claim,
            postings=tuple(by_journal[row.id]),
        )
        for row in rows
    ]


def fingerprint(connection: Connection) -> dict[str, tuple[tuple[str, str, str, Money], ...]]:
    """Key → its postings in a fixed order: two books that agree to the cent have equal ones."""
    which = select(journal.c.key, posting.c.account, posting.c.claim, posting.c.party, posting.c.amount).join(
        posting, posting.c.journal == journal.c.id
    )
    sides: dict[str, list[tuple[str, str, str, Money]]] = defaultdict(list)
    for key, account, claim, party, amount in connection.execute(which):
        sides[key].append((account, claim, party, amount))
    return {key: tuple(sorted(found)) for key, found in sorted(sides.items())}


def off_balance(connection: Connection) -> dict[str, Money]:
    """Journals that do not sum to zero: always empty, or somebody went round the program and the database."""
    which = select(journal.c.key, func.sum(posting.c.amount)).join(
        posting, posting.c.journal == journal.c.id, isouter=True
    )
    summed = connection.execute(which.group_by(journal.c.key)).all()
    return {key: int(amount or 0) for key, amount in summed if amount is None or amount}
