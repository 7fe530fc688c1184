"""Silence is an event: an answer that does not come by its day is told on the claim and stands on a list.

Chasing moves no claim. It says, once for each day that was missed, who is silent about what.
"""

from __future__ import annotations

from fhir_billing.cycle.records import ClaimRecord, Outcome
from fhir_billing.cycle.turn import Result, Turn
from fhir_billing.domain.lifecycle import State

EXPECTED = {
    State.QUEUED: "the channel has not taken it",
    State.SENT: "no acknowledgment came",
    State.RECEIVED: "nobody has said that it will be decided",
    State.ACCEPTED: "no remittance came",
    State.PENDED: "no remittance came",
    State.QUERIED: "the payer's question is not answered",
    State.APPEALED: "the appeal is not decided",
}


def overdue(claims: list[ClaimRecord], today: object) -> list[ClaimRecord]:
    """The claims whose next message is late."""
    return [claim for claim in claims if claim.due is not None and claim.due < today]  # type: ignore[operator]


def chased(turn: Turn) -> Result:
    """Tell every claim whose answer is late (timer `chase`)."""
    late = 0
    for claim in overdue(turn.book.claims(states=EXPECTED), turn.today):
        say = f"Silent: {EXPECTED[claim.state]} by {claim.due}"
        if any(line.what == say for line in turn.book.biography(claim.number)):
            continue
        turn.tell(claim.number, "finding", say)
        late += 1
    return Result(outcome=Outcome.DONE, say=f"{late} claims are silent")
