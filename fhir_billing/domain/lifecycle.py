"""A claim's life is a conversation with one payer; money is not a state, it is read from the ledger.

One table says every state, move, owner and clock. An answer that comes late is history: `Ignored`, never an error.
Only a move of our own that the table does not know raises `IllegalMove`. `closed` can be opened again; `voided` cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_billing.domain.errors import IllegalMove


class State(StrEnum):
    """What is true of a claim."""

    DRAFTED = "drafted"
    HELD = "held"
    READY = "ready"
    QUEUED = "queued"
    SENT = "sent"
    RECEIVED = "received"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    PENDED = "pended"
    QUERIED = "queried"
    PAID = "paid"
    DENIED = "denied"
    APPEALED = "appealed"
    CLOSED = "closed"
    VOIDED = "voided"


class Event(StrEnum):
    """What happened to it."""

    SCRUB_CLEAN = "scrub_clean"
    SCRUB_FOUND = "scrub_found"
    CORRECT = "correct"
    RELEASE = "release"
    HOLD = "hold"
    WITHDRAW = "withdraw"
    ENVELOPE = "envelope"
    TRANSMIT = "transmit"
    ACK_RECEIVE = "ack_receive"
    ACK_ACCEPT = "ack_accept"
    ACK_REJECT = "ack_reject"
    STATUS_PEND = "status_pend"
    STATUS_QUERY = "status_query"
    ANSWER = "answer"
    ADJUDICATE_PAY = "adjudicate_pay"
    ADJUDICATE_DENY = "adjudicate_deny"
    APPEAL = "appeal"
    SETTLE = "settle"
    REVERSE = "reverse"
    VOID_CONFIRM = "void_confirm"
    SUPERSEDE = "supersede"


S, E = State, Event

OURS: Final = frozenset(
    {
        E.SCRUB_CLEAN,
        E.SCRUB_FOUND,
        E.CORRECT,
        E.RELEASE,
        E.HOLD,
        E.WITHDRAW,
        E.ENVELOPE,
        E.TRANSMIT,
        E.ANSWER,
        E.APPEAL,
        E.SETTLE,
    }
)
"""Moves we make: an impossible one is our fault. All others are the payer's news."""


def _table() -> dict[tuple[State, Event], State]:
    rows: list[tuple[tuple[State, ...], Event, State]] = [
        ((S.DRAFTED,), E.SCRUB_CLEAN, S.READY),
        ((S.DRAFTED,), E.SCRUB_FOUND, S.HELD),
        ((S.HELD, S.READY, S.REJECTED), E.CORRECT, S.DRAFTED),
        ((S.HELD,), E.RELEASE, S.READY),
        ((S.READY,), E.HOLD, S.HELD),
        ((S.DRAFTED, S.HELD, S.READY, S.REJECTED), E.WITHDRAW, S.VOIDED),
        ((S.READY,), E.ENVELOPE, S.QUEUED),
        ((S.QUEUED,), E.TRANSMIT, S.SENT),
        ((S.QUEUED, S.SENT), E.ACK_RECEIVE, S.RECEIVED),
        ((S.QUEUED, S.SENT, S.RECEIVED), E.ACK_ACCEPT, S.ACCEPTED),
        ((S.QUEUED, S.SENT, S.RECEIVED, S.ACCEPTED), E.ACK_REJECT, S.REJECTED),
        ((S.QUEUED, S.SENT, S.RECEIVED, S.ACCEPTED, S.QUERIED), E.STATUS_PEND, S.PENDED),
        ((S.QUEUED, S.SENT, S.RECEIVED, S.ACCEPTED, S.PENDED), E.STATUS_QUERY, S.QUERIED),
        ((S.QUERIED,), E.ANSWER, S.PENDED),
        # A decision of the payer outweighs a rejection on the way to it.
        (
            (S.QUEUED, S.SENT, S.RECEIVED, S.REJECTED, S.ACCEPTED, S.PENDED, S.QUERIED, S.DENIED, S.APPEALED),
            E.ADJUDICATE_PAY,
            S.PAID,
        ),
        (
            (S.QUEUED, S.SENT, S.RECEIVED, S.REJECTED, S.ACCEPTED, S.PENDED, S.QUERIED, S.PAID, S.APPEALED),
            E.ADJUDICATE_DENY,
            S.DENIED,
        ),
        ((S.PAID, S.DENIED), E.APPEAL, S.APPEALED),
        ((S.PAID, S.DENIED), E.SETTLE, S.CLOSED),
        ((S.PAID, S.DENIED, S.CLOSED, S.APPEALED), E.REVERSE, S.PENDED),
        ((S.ACCEPTED, S.PENDED, S.PAID, S.DENIED), E.VOID_CONFIRM, S.VOIDED),
        ((S.PENDED, S.PAID, S.DENIED, S.APPEALED), E.SUPERSEDE, S.CLOSED),
    ]
    return {(start, event): end for starts, event, end in rows for start in starts}


MOVES: Final = _table()
TERMINAL: Final = frozenset({S.VOIDED})


class WhoActs(StrEnum):
    """Whose turn it is."""

    SYSTEM = "system"
    CLINICIAN = "clinician"
    BILLER = "biller"
    PAYER = "payer"
    PATIENT = "patient"
    NOBODY = "nobody"


OWNERS: Final[dict[State, WhoActs]] = {
    S.DRAFTED: WhoActs.SYSTEM,
    S.HELD: WhoActs.BILLER,
    S.READY: WhoActs.SYSTEM,
    S.QUEUED: WhoActs.SYSTEM,
    S.SENT: WhoActs.PAYER,
    S.RECEIVED: WhoActs.PAYER,
    S.REJECTED: WhoActs.BILLER,
    S.ACCEPTED: WhoActs.PAYER,
    S.PENDED: WhoActs.PAYER,
    S.QUERIED: WhoActs.BILLER,
    S.PAID: WhoActs.SYSTEM,
    S.DENIED: WhoActs.BILLER,
    S.APPEALED: WhoActs.PAYER,
    S.CLOSED: WhoActs.NOBODY,
    S.VOIDED: WhoActs.NOBODY,
}

CLINICIAN_WORDS: Final[dict[State, str]] = {
    S.DRAFTED: "Being prepared",
    S.HELD: "Needs you",
    S.READY: "Being prepared",
    S.QUEUED: "Being prepared",
    S.SENT: "With the payer",
    S.RECEIVED: "With the payer",
    S.REJECTED: "Being prepared",
    S.ACCEPTED: "With the payer",
    S.PENDED: "With the payer",
    S.QUERIED: "With the payer",
    S.PAID: "Paid",
    S.DENIED: "Denied",
    S.APPEALED: "With the payer",
    S.CLOSED: "Paid",
    S.VOIDED: "Being prepared",
}
"""A clinician sees five words only. A held claim whose findings are a biller's alone is `Being prepared`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The claim has a new state."""

    start: State
    event: Event
    end: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """News that changes nothing, kept as history."""

    state: State
    event: Event
    because: str


def move(state: State, event: Event) -> Moved | Ignored:
    """What this event does to a claim in this state.

    >>> move(State.SENT, Event.ACK_ACCEPT).end
    <State.ACCEPTED: 'accepted'>
    >>> move(State.PAID, Event.ACK_ACCEPT).because
    'already paid'
    """
    end = MOVES.get((state, event))
    if end is not None:
        return Moved(start=state, event=event, end=end)
    if event in OURS:
        raise IllegalMove(f"a claim that is {state} cannot {event.replace('_', ' ')}")
    return Ignored(state=state, event=event, because=f"already {state}")


def mermaid() -> str:
    """The table as a Mermaid state diagram, one `from --> to : event` a line."""
    rows = [f"    {start} --> {end} : {event}" for (start, event), end in MOVES.items()]
    return (
        "\n".join(["stateDiagram-v2", "    [*] --> drafted", *rows, *(f"    {state} --> [*]" for state in TERMINAL)])
        + "\n"
    )
