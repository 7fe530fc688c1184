"""Whoever follows a claim hears of each change of its state once, with a number; a change that is none is no event.

The event and the parcel that tells of it are kept in the turn that changed the state, so neither is there without the other.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.cycle.records import ClaimRecord, FollowerRecord, NoticeRecord
from fhir_billing.cycle.turn import Turn
from fhir_billing.fhir.task import BILLING_STATUS, STATUS
from fhir_billing.fhir.text import dumps

FOLLOWING = frozenset({"requested", "active", "error"})
"""A subscription in error counts on: when its app comes back, nothing is missing."""
KIND = "notice"


def queue_notices(turn: Turn) -> None:
    """Tell those who follow of every claim whose state this message changed."""
    if not turn.touched:
        return
    followers = [one for one in turn.book.followers() if one.status in FOLLOWING]
    if not followers:
        return
    for number in turn.touched:
        claim = turn.book.claim(number)
        if claim is None or not _changed(turn, claim):
            continue
        for follower in followers:
            if follows(follower, claim):
                _tell(turn, follower.id, claim)


def follows(follower: FollowerRecord, claim: ClaimRecord) -> bool:
    """Whether a subscription's filter lets this claim through."""
    status, business, _ = STATUS[claim.state]
    own = {
        "patient": {claim.patient, claim.patient.removeprefix("Patient/")},
        "encounter": {claim.encounter, claim.encounter.removeprefix("Encounter/")},
        "status": {status},
        "business-status": {business, f"{BILLING_STATUS}|{business}"},
    }
    return all(set(wanted.split(",")) & own.get(name, set()) for name, wanted in follower.filters.items())


def _changed(turn: Turn, claim: ClaimRecord) -> bool:
    """Whether this message ended with another state than it began with; a claim that is new has changed."""
    lines = turn.book.biography(claim.number)
    moves = [line for line in lines if line.kind == "move" and line.message == turn.message.id]
    if moves:
        return moves[0].start != moves[-1].end or lines[0].message == turn.message.id
    return bool(lines) and lines[0].message == turn.message.id


def _tell(turn: Turn, follower_id: str, claim: ClaimRecord) -> None:
    follower = turn.book.follower(follower_id)
    if follower is None or follower.status not in FOLLOWING:
        return
    number = follower.events + 1
    turn.book.save_follower(replace(follower, events=number))
    turn.book.save_notice(
        NoticeRecord(follower=follower.id, number=number, at=turn.at, claim=claim.number, state=str(claim.state))
    )
    if follower.status != "error":
        turn.book.queue(
            kind=KIND,
            key=f"notice:{follower.id}:{number}",
            destination=follower.id,
            body=dumps({"follower": follower.id, "number": number}),
            at=turn.at,
            claim=claim.number,
        )
