"""Money moves from one account to another and never appears or vanishes: a journal sums to zero or does not exist.

Append-only and double entry. Balances are never stored, only summed. A debit is above zero, a credit below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from fhir_billing.domain.errors import UnbalancedJournal
from fhir_billing.domain.money import Money, show

RECEIVABLE_PAYER: Final = "Receivable:Payer"
RECEIVABLE_DISPUTED: Final = "Receivable:Disputed"
RECEIVABLE_PATIENT: Final = "Receivable:Patient"
CLEARING: Final = "Clearing:Remit"
BANK: Final = "Cash:Bank"
CHARGES: Final = "Revenue:Charges"
CAPITATION: Final = "Revenue:Capitation"
CONTRACTUAL: Final = "Adjustment:Contractual"
DENIED: Final = "Adjustment:Denied"
OTHER_ADJUSTMENT: Final = "Adjustment:Other"
INTEREST: Final = "Expense:Interest and fees"
UNAPPLIED: Final = "Liability:Unapplied"
REFUNDS: Final = "Liability:Refunds"

ACCOUNTS: Final = (
    RECEIVABLE_PAYER, RECEIVABLE_DISPUTED, RECEIVABLE_PATIENT, CLEARING, BANK, CHARGES, CAPITATION,
    CONTRACTUAL, DENIED, OTHER_ADJUSTMENT, INTEREST, UNAPPLIED, REFUNDS,
)  # fmt: skip
RECEIVABLES: Final = (RECEIVABLE_PAYER, RECEIVABLE_DISPUTED, RECEIVABLE_PATIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of a journal: the account, who and what it is about, and the amount (debit above zero, credit below)."""

    account: str
    amount: Money
    claim: str = ""
    """Our claim number, where the money belongs to one."""
    party: str = ""
    """The payer's id, the patient's reference or the trace number that the account is kept by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Postings that belong together. `key` is unique, so that posting twice is posting once; `because` is the reason in words.

    >>> Journal(key="k", posted_on=date(2026, 3, 2), because="x", postings=(Posting(account=BANK, amount=1),))
    Traceback (most recent call last):
    fhir_billing.domain.errors.UnbalancedJournal: journal k: 1 posting that sums to 0.01; it must have two or more that sum to zero
    """

    key: str
    posted_on: date
    because: str
    postings: tuple[Posting, ...]
    effective_on: date | None = None
    reverses: str = ""
    """The key of the journal that this one takes back."""
    claim: str = ""

    def __post_init__(self) -> None:
        off = sum(posting.amount for posting in self.postings)
        if len(self.postings) < 2 or off:
            count = f"{len(self.postings)} posting{'s' if len(self.postings) != 1 else ''}"
            raise UnbalancedJournal(
                f"journal {self.key}: {count} that sums to {show(off)}; it must have two or more that sum to zero"
            )
        unknown = {posting.account for posting in self.postings} - set(ACCOUNTS)
        if unknown:
            raise UnbalancedJournal(f"journal {self.key}: no such account as {min(unknown)}")


class Ledger:
    """A book in memory: takes each journal once by its key, and sums on demand. The store keeps the same book on disk."""

    def __init__(self, journals: Iterable[Journal] = ()) -> None:
        self._journals: dict[str, Journal] = {}
        for journal in journals:
            self.post(journal)

    def post(self, journal: Journal) -> bool:
        """Enter a journal; False when its key is already there."""
        if journal.key in self._journals:
            return False
        self._journals[journal.key] = journal
        return True

    @property
    def journals(self) -> tuple[Journal, ...]:
        """In the order they were entered."""
        return tuple(self._journals.values())

    def balances(self, *, claim: str | None = None) -> dict[str, Money]:
        """The balance of each account that is not zero, of one claim or of the whole book."""
        sums: dict[str, Money] = defaultdict(int)
        for journal in self._journals.values():
            for posting in journal.postings:
                if claim is None or posting.claim == claim:
                    sums[posting.account] += posting.amount
        return {account: amount for account, amount in sums.items() if amount}
