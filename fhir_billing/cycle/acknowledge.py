"""An acknowledgment moves each claim it speaks of: a 999 every claim of a transaction set, a 277CA one.

Rejected is not denied: nothing was adjudicated, nothing posts, the filing window still runs. What comes late, twice
or about an earlier attempt is history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fhir_billing.cycle.records import ClaimRecord, EnvelopeRecord, Outcome
from fhir_billing.cycle.turn import Result, Turn
from fhir_billing.domain.acknowledgment import ClaimStatus, InterchangeAcknowledgment, Reach, SetAcknowledgment
from fhir_billing.domain.lifecycle import Event

Acknowledgment = InterchangeAcknowledgment | SetAcknowledgment | ClaimStatus

_EVENTS = {
    Reach.RECEIVED: Event.ACK_RECEIVE,
    Reach.ACCEPTED: Event.ACK_ACCEPT,
    Reach.REJECTED: Event.ACK_REJECT,
    Reach.PENDED: Event.STATUS_PEND,
    Reach.QUERIED: Event.STATUS_QUERY,
}


def kind_of(acknowledgment: Acknowledgment, kinds: Collection[str]) -> str:
    """Which message says it, of those in the file."""
    if isinstance(acknowledgment, InterchangeAcknowledgment):
        return "TA1"
    if isinstance(acknowledgment, SetAcknowledgment):
        return "999"
    return "277CA" if "277CA" in kinds else "277"


def acknowledged(turn: Turn, kinds: Collection[str], acknowledgments: Iterable[Acknowledgment]) -> Result:
    """Work every acknowledgment in a file that holds transaction sets of these kinds."""
    known = unknown = 0
    names = ", ".join(sorted(set(kinds) - {"835"})) or "TA1"
    for acknowledgment in acknowledgments:
        kind = kind_of(acknowledgment, kinds)
        found = _claims_of(turn, acknowledgment)
        known += len(found)
        unknown += not found
        for claim, envelope in found:
            _apply(turn, kind, acknowledgment, claim, envelope)
    if not known:
        return Result(outcome=Outcome.UNMATCHED, say=f"{names}: speaks of nothing that left from here")
    missing = f"; {unknown} speak of nothing known here" if unknown else ""
    return Result(outcome=Outcome.ACKNOWLEDGED, say=f"{names}: {known} {'claim' if known == 1 else 'claims'}{missing}")


def _claims_of(turn: Turn, acknowledgment: Acknowledgment) -> list[tuple[ClaimRecord, EnvelopeRecord | None]]:
    if isinstance(acknowledgment, ClaimStatus):
        claim = turn.book.claim(acknowledgment.claim)
        return [(claim, None)] if claim and claim.attempt else []
    if isinstance(acknowledgment, InterchangeAcknowledgment):
        envelopes = turn.book.envelopes(interchange=acknowledgment.control)
        pairs = [(number, e) for e in envelopes for numbers in e.sets.values() for number in numbers]
    else:
        envelopes = turn.book.envelopes(group=acknowledgment.group_control.lstrip("0"))
        pairs = [
            (number, e)
            for e in envelopes
            for control, numbers in e.sets.items()
            if not acknowledgment.set_control  # a 999 without AK2 speaks of the whole group
            or control.lstrip("0") == acknowledgment.set_control.lstrip("0")
            for number in numbers
        ]
    found = ((turn.book.claim(number), envelope) for number, envelope in pairs)
    return [(claim, envelope) for claim, envelope in found if claim]


def _apply(
    turn: Turn, kind: str, acknowledgment: Acknowledgment, claim: ClaimRecord, envelope: EnvelopeRecord | None
) -> None:
    say = sentence(kind, acknowledgment)
    if envelope and turn.book.envelopes(claim=claim.number)[-1].key != envelope.key:
        turn.tell(claim.number, "file", f"{say}. It speaks of an earlier attempt and changes nothing")
        return
    reach = acknowledgment.reach
    if kind == "277CA" and reach in {Reach.PENDED, Reach.QUERIED, Reach.DECIDED}:
        turn.tell(claim.number, "file", f"{say}. A 277CA may not say that; it is kept and not obeyed")
        return
    event = _EVENTS.get(reach)
    if event is None:
        turn.tell(claim.number, "file", say)
        return
    icn = acknowledgment.icn if isinstance(acknowledgment, ClaimStatus) else ""
    changes: dict[str, object] = {"icn": icn} if icn else {}
    if reach is Reach.REJECTED:
        changes["findings"] = (_rejection(kind, acknowledgment, say),)
    turn.move(claim, event, say, who=_sender(acknowledgment) or kind, **changes)


def _sender(acknowledgment: Acknowledgment) -> str:
    return acknowledgment.sender if isinstance(acknowledgment, ClaimStatus) else ""


def _rejection(kind: str, acknowledgment: Acknowledgment, say: str) -> dict[str, object]:
    """The finding that a rejection leaves on the claim: what, where, and the way on."""
    place = ""
    if isinstance(acknowledgment, SetAcknowledgment) and acknowledgment.faults:
        fault = acknowledgment.faults[0]
        place = f"segment {fault.position} {fault.segment}{fault.element}".strip()
    return {
        "key": "rejected",
        "severity": "blocking",
        "say": say,
        "at": place,
        "fix": "Mend it and send the claim again; nothing was decided, and the filing window still runs",
        "fix_by": "biller",
        "source": kind,
        "resource": "",
    }


_WORDS = {
    Reach.RECEIVED: "read it",
    Reach.ACCEPTED: "accepted it for a decision",
    Reach.REJECTED: "rejected it",
    Reach.LOST: "does not know this claim",
    Reach.PENDED: "is still thinking",
    Reach.QUERIED: "asks for information",
    Reach.DECIDED: "has decided; the remittance is to come",
    Reach.UNKNOWN: "said something that is not understood",
}


def sentence(kind: str, acknowledgment: Acknowledgment) -> str:
    """What the message says, in plain words with its codes."""
    words = _WORDS[acknowledgment.reach]
    if isinstance(acknowledgment, ClaimStatus):
        codes = ", ".join(":".join(filter(None, (c.category, c.status, c.entity))) for c in acknowledgment.codes)
        return f"{acknowledgment.sender or 'The payer'} {words} ({kind} {codes})"
    if isinstance(acknowledgment, SetAcknowledgment):
        faults = "; ".join(
            f"{f.segment} {f.element} code {f.code}".replace("  ", " ") for f in acknowledgment.faults[:3]
        )
        return f"The receiver {words} ({kind} {acknowledgment.code}{': ' + faults if faults else ''})"
    reason = f" {acknowledgment.reason}" if acknowledgment.reason not in {"", "000"} else ""
    return f"The receiver {words} ({kind} {acknowledgment.code}{reason})"
