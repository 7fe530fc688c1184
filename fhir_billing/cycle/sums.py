"""What each claim comes to, summed from the posted payments and the ledger; nothing here is stored.

`charge` and `paid` sum CLP03 and CLP04, reversals negative; `adjustments` sum CAS by group as written.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import ClaimRecord, PaymentRecord
from fhir_billing.domain import ledger
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money, show


def claim_sums(book: Book, *, everything: bool = False) -> list[dict[str, Any]]:
    """One entry a claim, by number. `everything` adds claims with no answer yet. Payments without a home are no claim of ours."""
    by_claim: dict[str, list[PaymentRecord]] = defaultdict(list)
    for payment in book.payments():
        if payment.matched:
            by_claim[payment.claim].append(payment)
    claims = {claim.number: claim for claim in book.claims()}
    numbers = set(by_claim) | ({n for n, c in claims.items() if c.attempt} if everything else set())
    return [_entry(book, number, claims.get(number), by_claim.get(number, [])) for number in sorted(numbers)]


def _entry(book: Book, number: str, claim: ClaimRecord | None, payments: list[PaymentRecord]) -> dict[str, Any]:
    groups: dict[str, Money] = {group.value: 0 for group in Group}
    for payment in payments:
        for group, amount in payment.adjustments.items():
            groups[group] += amount
    balances = book.balances(number) if claim else {}
    return {
        "claim": number,
        "billed": show(claim.billed if claim else 0),
        "charge": show(sum(payment.charge for payment in payments)),
        "paid": show(sum(payment.paid for payment in payments)),
        "adjustments": {group: show(amount) for group, amount in groups.items()},
        "patient": show(patient_share(payments)),
        "open": show(sum(balances.get(account, 0) for account in ledger.RECEIVABLES)),
    }


def patient_share(payments: list[PaymentRecord]) -> Money:
    """PR of the last payer in turn: a secondary's share replaces the primary's, the two are never added."""
    if not payments:
        return 0
    last = payments[-1].payer
    return sum(payment.adjustments.get("PR", 0) for payment in payments if payment.payer == last)
