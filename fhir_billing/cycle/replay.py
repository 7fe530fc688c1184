"""Drop every derived table, work the inbox again in its order: the same ledger, to the cent.

That holds because whatever decides anything is an inbox message: a visit as read, a payer's file, what a person did,
a timer that rang, a channel's receipt. Nothing is sent while replaying.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir_billing.cycle.ports import Book, Store
from fhir_billing.cycle.records import Kind, Message
from fhir_billing.cycle.work import work_all
from fhir_billing.domain.errors import UnbalancedJournal
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.money import show
from fhir_billing.mapping.site import Site


@dataclass(slots=True)
class Replayed:
    """What a replay found."""

    messages: int = 0
    journals: int = 0
    differences: list[str] = field(default_factory=list)

    def say(self) -> str:
        """The line that the command prints."""
        head = f"replay: {self.messages} messages, {self.journals} journals"
        return (
            f"{head}, equal"
            if not self.differences
            else "\n".join([f"{head}, {len(self.differences)} differences", *self.differences])
        )


def replay(book: Store, fresh: Store, site: Site, messages: Iterable[Message]) -> Replayed:
    """Work the messages of `book` again in `fresh`, then compare journals and states."""
    result = Replayed()
    for message in messages:
        if message.kind is Kind.DOORBELL or message.worked is None:
            continue
        fresh.keep(
            message.kind,
            message.key,
            message.body,
            at=message.at,
            channel=message.channel,
            name=message.name,
            who=message.who,
        )
        work_all(fresh, site, limit=1)
        result.messages += 1
    with book.begin() as old, fresh.begin() as new:
        after = new.journals()
        try:
            before = old.journals()
        except UnbalancedJournal as error:
            result.differences.append(f"the book is damaged: {error.say}")
            return result
        result.journals = len(before)
        result.differences += journal_differences(before, after)
        for before_said, after_said in (
            ({c.number: c.state for c in old.claims()}, {c.number: c.state for c in new.claims()}),
            (_proposed(old), _proposed(new)),
            (_differing(old), _differing(new)),
        ):
            result.differences += _state_differences(before_said, after_said)
    return result


def journal_differences(before: Iterable[Journal], after: Iterable[Journal]) -> list[str]:
    """What differs between two books, a line each."""
    old = {journal.key: journal for journal in before}
    new = {journal.key: journal for journal in after}
    lines = [f"only in the book: {key}" for key in old.keys() - new.keys()]
    lines += [f"only in the replay: {key}" for key in new.keys() - old.keys()]
    for key in sorted(old.keys() & new.keys()):
        one, two = _sides(old[key]), _sides(new[key])
        if one != two:
            lines.append(f"{key}: {_text(one)} in the book, {_text(two)} in the replay")
    return sorted(lines)


def _sides(journal: Journal) -> list[tuple[str, str, str, int]]:
    return sorted((p.account, p.claim, p.party, p.amount) for p in journal.postings)


def _text(sides: list[tuple[str, str, str, int]]) -> str:
    return ", ".join(f"{account} {show(amount)}" for account, _, _, amount in sides)


def _proposed(book: Book) -> dict[str, str]:
    """Each proposal with what it proposes and what became of it."""
    return {
        f"proposal {one.key}": f"{one.kind} of {len(one.fields)} fields, {one.status} by {one.decided_by or 'nobody'}"
        for one in book.proposals()
    }


def _differing(book: Book) -> dict[str, str]:
    """Each difference between chart and book, and who closed it."""
    return {f"difference {one.key}": f"{one.say}, closed by {one.closed_by or 'nobody'}" for one in book.differences()}


def _state_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [
        f"{number}: {before.get(number, 'unknown')} in the book, {after.get(number, 'unknown')} in the replay"
        for number in sorted(before.keys() | after.keys())
        if before.get(number) != after.get(number)
    ]
