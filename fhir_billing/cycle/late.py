"""A chart may change after its claim left; what the payer has is then not what the chart says, and a person decides.

The change becomes a proposal: to replace the claim, field by field, or to void it. Newer news overtakes an older proposal,
and a chart that says again what was sent takes its proposal back. The claim itself is never changed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fhir_billing.cycle.diff import Row, differences, told
from fhir_billing.cycle.records import ClaimRecord, Message, ProposalRecord
from fhir_billing.cycle.turn import Turn
from fhir_billing.domain.errors import ClaimNotFound, NotAMove, OverrideNeedsReason
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.text import dumps, loads

OPEN, ACCEPTED, DONE, DISMISSED, OVERTAKEN = "open", "accepted", "done", "dismissed", "overtaken"
STANDING: Final = frozenset({OPEN, ACCEPTED})
"""A proposal that still asks for something: a decision, or the corrected claim to be sent."""
DECIDED: Final = frozenset({DONE, DISMISSED})
REPLACE, VOID = "replace", "void"
US: Final = "fhir-billing"
AGAIN: Final = "The chart says again what was sent"
REVIVED: Final = {"at": "Claim", "what": "The claim", "was": "void with the payer", "now": "billed in the chart again"}


def replacement(turn: Turn, claim: ClaimRecord, resource: Mapping[str, Any], source: Message) -> bool:
    """Propose what the chart says now in place of what was sent; whether something stands proposed."""
    body = dumps(resource)
    known = turn.book.proposals(claim=claim.number)
    base = next((one for one in reversed(known) if one.status == DONE), None)
    rows: Sequence[Mapping[str, object]] = (
        (REVIVED,)
        if base is not None and base.kind == VOID
        else differences(loads(base.resource if base else claim.resource), resource)
    )
    return _propose(turn, claim, REPLACE, rows, body, source, known)


def void(turn: Turn, claim: ClaimRecord, row: Row, source: Message) -> bool:
    """Propose to void what was sent, because the chart bills it no more; whether something stands proposed."""
    known = turn.book.proposals(claim=claim.number)
    done = next((one for one in reversed(known) if one.status == DONE), None)
    rows = () if done is not None and done.kind == VOID else (row,)
    return _propose(turn, claim, VOID, rows, b"", source, known)


def _propose(
    turn: Turn,
    claim: ClaimRecord,
    kind: str,
    rows: Sequence[Mapping[str, object]],
    resource: bytes,
    source: Message,
    known: Sequence[ProposalRecord],
) -> bool:
    def is_same(one: ProposalRecord) -> bool:
        return bool(rows) and one.kind == kind and [dict(row) for row in one.fields] == [dict(row) for row in rows]

    standing = [one for one in known if one.status in STANDING]
    kept = next((one for one in standing if is_same(one)), None)
    for one in standing:
        if one is not kept:
            _overtaken(turn, one, "The chart has changed again" if rows else AGAIN)
    if not rows or kept is not None:
        return kept is not None
    if any(one.status == DISMISSED and is_same(one) for one in known):
        return False
    digest = hashlib.sha256(source.sha256.encode() + kind.encode() + resource).hexdigest()[:16]
    turn.book.save_proposal(
        ProposalRecord(
            key=f"{claim.number}:{digest}",
            claim=claim.number,
            kind=kind,
            made_at=turn.at,
            fields=tuple(rows),
            resource=resource,
            message=turn.message.id,
        )
    )
    turn.tell(claim.number, "finding", _told(kind, rows), who="EHR")
    return True


def _told(kind: str, rows: Sequence[Mapping[str, object]]) -> str:
    change = told(rows[0])
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    wanted = "A replacement is proposed" if kind == REPLACE else "To void it is proposed"
    return f"The chart changed after this claim left ({change}{more}). {wanted}; nothing is changed by itself"


def _overtaken(turn: Turn, one: ProposalRecord, why: str) -> None:
    turn.book.save_proposal(replace(one, status=OVERTAKEN, decided_at=turn.at, decided_by=US, why=why))
    turn.tell(one.claim, "finding", f"{why}: the proposal to {one.kind} it is overtaken", who="EHR")


# ---- what a person decides ---------------------------------------------------------------------


def dismissed(turn: Turn, said: Mapping[str, Any]) -> str:
    """`proposal`, `reason`: what was sent stands, although the chart says something else."""
    return _decided(turn, said, (OPEN, ACCEPTED), DISMISSED, "Dismissed the proposal to {kind} it: {why}")


def accepted(turn: Turn, said: Mapping[str, Any]) -> str:
    """`proposal`, `reason`: the claim is to be replaced or voided; it stands on the biller's list until it is sent."""
    one = _found(turn, said, (OPEN,))
    claim = turn.book.claim(one.claim)
    if claim is None:
        raise ClaimNotFound(f"there is no claim {one.claim}", fix="look the number up with find")
    todo = to_do(one.kind, claim.icn)
    return _decided(turn, said, (OPEN,), ACCEPTED, f"Accepted the proposal to {{kind}} it: {todo}. {{why}}", False)


def done(turn: Turn, said: Mapping[str, Any]) -> str:
    """`proposal`, `reason`: the corrected claim, or the void, has been sent to the payer."""
    return _decided(turn, said, (ACCEPTED,), DONE, "Sent what was accepted, to {kind} it: {why}")


def to_do(kind: str, icn: str) -> str:
    """What a biller does about an accepted proposal, in words."""
    number = f"the payer's number {icn}" if icn else "the payer's number, once the payer has given one"
    if kind == VOID:
        return f"Void the claim with the payer: frequency 8 with {number}"
    return f"Send a corrected claim: frequency 7 with {number}"


def _found(turn: Turn, said: Mapping[str, Any], statuses: Sequence[str]) -> ProposalRecord:
    key = str(said.get("proposal", ""))
    known = turn.book.proposals(claim=key.rpartition(":")[0])
    one = next((one for one in known if one.key == key and one.status in statuses), None)
    if one is None:
        raise NotAMove("this proposal is decided or overtaken", fix="look at the claim again")
    return one


def _decided(
    turn: Turn,
    said: Mapping[str, Any],
    statuses: Sequence[str],
    status: str,
    tells: str,
    needs_reason: bool = True,
) -> str:
    one, why = _found(turn, said, statuses), str(said.get("reason", "")).strip()[:500]
    if needs_reason and not why:
        raise OverrideNeedsReason("this needs a reason", fix="say why in a few words")
    turn.book.save_proposal(replace(one, status=status, decided_at=turn.at, decided_by=turn.who, why=why))
    turn.tell(one.claim, "person", tells.format(kind=one.kind, why=why).strip().removesuffix(":"))
    turn.book.audit(at=turn.at, who=turn.who, what=f"{status} a proposal", about=one.claim, why=why)
    _flag(turn, one)
    return f"{one.key} {status}"


def _flag(turn: Turn, one: ProposalRecord) -> None:
    """The visit says that it changed after its claim left for as long as something stands proposed."""
    claim = turn.book.claim(one.claim)
    visit = turn.book.visit(claim.encounter) if claim else None
    if visit is None:
        return
    numbers = [claim.number for claim in turn.book.claims(encounter=visit.encounter)]
    stands = any(p.status in STANDING for number in numbers for p in turn.book.proposals(claim=number))
    turn.book.save_visit(replace(visit, changed_after_send=stands))


def has_left(claim: ClaimRecord) -> bool:
    """Whether the payer has it, or will: it is not ours to change any more."""
    return claim.state not in {State.DRAFTED, State.HELD, State.READY, State.REJECTED, State.VOIDED}
