"""What a person does is a message like any other: kept first, worked once, and told in the claim's biography with a name.

An act is JSON: `{"act": "release", "claim": "C-…", "reason": "…"}`. Each act below says which facts it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fhir_billing.cycle import ask, late, reconcile
from fhir_billing.cycle.records import ClaimRecord, Outcome
from fhir_billing.cycle.scrub import rescrub
from fhir_billing.cycle.turn import Result, Turn, facts
from fhir_billing.domain import ledger, posting
from fhir_billing.domain.errors import ClaimNotFound, MalformedResource, NotAMove, OverrideNeedsReason
from fhir_billing.domain.lifecycle import Event, State
from fhir_billing.domain.money import Money, NotMoney, cents, spoken
from fhir_billing.fhir.amend import amend
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import dumps, loads

Said = Mapping[str, Any]


def acted(turn: Turn) -> Result:
    """Do what the message says a person did."""
    said = facts(turn.message)
    name = str(said.get("act", ""))
    act = ACTS.get(name)
    if act is None:
        raise MalformedResource(f"there is no act called {name[:40]!r}", fix=f"use one of {', '.join(sorted(ACTS))}")
    return Result(outcome=Outcome.DONE, say=act(turn, said))


MENDABLE = frozenset({"member_id", "authorization", "billing_npi", "patient_zip", "diagnoses", "modifiers"})
"""What a correction may change. Whose bill it is, and to whom it goes, comes from the chart."""


def _claim(turn: Turn, said: Said) -> ClaimRecord:
    number = str(said.get("claim", ""))
    claim = turn.book.claim(number)
    if claim is None:
        raise ClaimNotFound(f"there is no claim {number[:24]}", fix="look the number up with find")
    return claim


def _reason(said: Said) -> str:
    reason = str(said.get("reason", "")).strip()
    if not reason:
        raise OverrideNeedsReason(
            "this needs a reason", fix="say why in a few words; it stands in the claim's biography"
        )
    return reason[:500]


def _amount(said: Said) -> Money:
    try:
        amount = cents(str(said.get("amount", "")))
    except NotMoney as error:
        raise MalformedResource(str(error), fix="write dollars and cents, such as 20.00") from error
    if amount <= 0 or amount > 100_000_000:
        raise MalformedResource("the amount must be above zero and below a million dollars", fix="check the amount")
    return amount


def _release(turn: Turn, said: Said) -> str:
    """`claim`, `reason`: let a held claim go although an edit found something."""
    claim, reason = _claim(turn, said), _reason(said)
    turn.tell(claim.number, "person", f"Released: {reason}")
    turn.move(claim, Event.RELEASE, f"Released by {turn.who}: {reason}")
    return f"{claim.number} released"


def _hold(turn: Turn, said: Said) -> str:
    """`claim`, `reason`: keep a ready claim from leaving."""
    claim, reason = _claim(turn, said), _reason(said)
    turn.tell(claim.number, "person", f"Held: {reason}")
    turn.move(claim, Event.HOLD, f"Held by {turn.who}: {reason}")
    return f"{claim.number} held"


def _withdraw(turn: Turn, said: Said) -> str:
    """`claim`, `reason`: this bill will not be sent."""
    claim, reason = _claim(turn, said), _reason(said)
    turn.tell(claim.number, "person", f"Withdrawn: {reason}")
    turn.move(claim, Event.WITHDRAW, f"Withdrawn by {turn.who}: {reason}")
    return f"{claim.number} withdrawn"


def _correct(turn: Turn, said: Said) -> str:
    """`claim`, `changes` {what: value}, `reason`: mend the bill and check it again; a rejected claim is ready to be sent again."""
    claim = _claim(turn, said)
    changes = said.get("changes") or {}
    unknown = sorted({str(name).partition(".")[0] for name in changes} - MENDABLE)
    if unknown:
        raise MalformedResource(
            f"a person cannot change {', '.join(unknown)[:60]} on a bill",
            fix="mend it in the chart; the claim is drafted anew from there",
        )
    resource = loads(claim.resource)
    done = amend(resource, changes) if changes else []
    turn.tell(claim.number, "person", "; ".join(done) or "Checked again without a change")
    claim = turn.move(claim, Event.CORRECT, f"Corrected by {turn.who}", resource=dumps(resource))
    billed = read_claim(resource)
    claim = turn.save(replace(claim, charge=billed.charge, member_id=billed.insurance[0].member_id))
    claim = rescrub(turn, claim)
    return f"{claim.number} is {claim.state}"


def _pay(turn: Turn, said: Said) -> str:
    """`claim` (a claim's or a self-pay visit's number), `amount`, `how`: the patient has paid."""
    number, amount, how = str(said.get("claim", "")), _amount(said), str(said.get("how", "by hand"))[:60]
    visit = turn.book.visit_numbered(number)
    claim = turn.book.claim(number)
    patient = claim.patient if claim else visit.patient if visit else ""
    if not patient:
        raise ClaimNotFound(f"there is no claim or visit {number[:24]}", fix="look the number up with find")
    owed = turn.book.balances(number).get(ledger.RECEIVABLE_PATIENT, 0)
    turn.post(
        posting.patient_paid(
            key=f"pay:{turn.message.key}",
            claim=number,
            patient=patient,
            amount=amount,
            owed=owed,
            on=turn.today,
            how=how,
        )
    )
    turn.tell(number, "person", f"Entered a payment of {spoken(amount)} ({how})")
    if claim:
        turn.touched[number] = None
        turn.settle_claim(claim)
    return f"{spoken(amount)} for {number}"


def _deposit(turn: Turn, said: Said) -> str:
    """`trace`, `amount`: the bank shows the payer's deposit with this trace number."""
    trace, amount = str(said.get("trace", "")), _amount(said)
    waiting = turn.book.clearing(trace)
    total = sum(waiting.values())
    if total != amount:
        raise NotAMove(
            f"trace {trace[:50]} has {spoken(total)} in clearing, the bank says {spoken(amount)}",
            fix="post the missing remittance first, or check the amount",
        )
    turn.post(
        posting.deposit_landed(
            trace=trace,
            payer=str(said.get("payer", "")),
            by_claim=waiting,
            on=turn.today,
            key=f"deposit:{trace}:{turn.message.key}",
        )
    )
    for number in waiting:
        claim = turn.book.claim(number) if number else None
        if claim:
            turn.settle_claim(claim)
    return f"{spoken(amount)} landed for trace {trace}"


def _give_up(turn: Turn, said: Said) -> str:
    """`claim`, `reason`: what is in dispute becomes a loss."""
    claim, reason = _claim(turn, said), _reason(said)
    disputed = turn.book.balances(claim.number).get(ledger.RECEIVABLE_DISPUTED, 0)
    if claim.state is not State.DENIED or disputed <= 0:
        raise NotAMove(f"{claim.number} is {claim.state}: there is nothing to give up")
    turn.post(
        posting.given_up(
            key=f"give-up:{turn.message.key}",
            claim=claim.number,
            payer=claim.payer,
            amount=disputed,
            on=turn.today,
            reason=reason,
        )
    )
    turn.tell(claim.number, "person", f"Gave up {spoken(disputed)}: {reason}")
    turn.settle_claim(claim)
    return f"{spoken(disputed)} given up on {claim.number}"


def _appeal(turn: Turn, said: Said) -> str:
    """`claim`, `reason`, optional `level` and `packet` (names of what was sent): the payer is asked again, inside the window."""
    claim, reason = _claim(turn, said), _reason(said)
    disputed = turn.book.balances(claim.number).get(ledger.RECEIVABLE_DISPUTED, 0)
    if claim.state is State.DENIED and disputed <= 0:
        raise NotAMove(f"nothing of {claim.number} is in dispute any more")
    if claim.state is State.DENIED and claim.due and turn.today > claim.due:
        raise NotAMove(
            f"the appeal window closed on {claim.due}",
            fix="give it up with a reason, or ask the payer for an exception",
        )
    packet = ", ".join(str(p) for p in said.get("packet", []) or [])
    level = int(said.get("level", 1) or 1)
    turn.tell(claim.number, "person", f"Appealed at level {level}: {reason}{'; with ' + packet if packet else ''}")
    turn.move(claim, Event.APPEAL, f"Appealed at level {level} by {turn.who}")
    return f"{claim.number} appealed"


def _answer(turn: Turn, said: Said) -> str:
    """`claim`, `reason`: what the payer asked for has been sent."""
    claim, reason = _claim(turn, said), _reason(said)
    turn.tell(claim.number, "person", f"Answered the payer: {reason}")
    turn.move(claim, Event.ANSWER, f"Answered by {turn.who}")
    return f"{claim.number} answered"


def _other_coverage(turn: Turn, said: Said) -> str:
    """`claim`, `payer`, `payer_name`, `member_id`: another plan covered the day; the dispute moves to a new claim to it."""
    claim = _claim(turn, said)
    disputed = turn.book.balances(claim.number).get(ledger.RECEIVABLE_DISPUTED, 0)
    if claim.state is not State.DENIED or disputed != claim.charge:
        raise NotAMove(
            f"{claim.number} is not denied as a whole, so another plan cannot be asked for all of it",
            fix="appeal or correct what is in dispute",
        )
    number = f"{claim.number}-B"
    if turn.book.claim(number):
        raise NotAMove(f"{number} has been made already")
    resource = loads(claim.resource)
    payer = str(said.get("payer", ""))
    if payer not in turn.site.payers or payer == claim.payer:
        others = ", ".join(sorted(set(turn.site.payers) - {claim.payer}))
        raise MalformedResource(
            f"{payer[:20] or 'no payer'} is no other payer of this site", fix=f"use one of {others}"
        )
    name = turn.site.payers[payer].name or payer
    amend(resource, {"number": number, "payer": payer, "payer_name": name, "member_id": str(said.get("member_id", ""))})
    new = turn.save(
        replace(
            claim,
            number=number,
            payer=payer,
            payer_name=name,
            member_id=str(said.get("member_id", "")),
            state=State.DRAFTED,
            resource=dumps(resource),
            icn="",
            findings=(),
            attempt=0,
            billed=claim.charge,
            due=None,
            entered_at=turn.at,
            replaces="",
            version=0,
        )
    )
    turn.post(
        posting.moved_to_payer(
            key=f"moved:{number}",
            old=claim.number,
            old_payer=claim.payer,
            new=number,
            new_payer=payer,
            amount=disputed,
            on=turn.today,
        )
    )
    _carry_unapplied(turn, claim, number)
    turn.tell(number, "person", f"Made from {claim.number}: {name} covered the day")
    turn.tell(claim.number, "person", f"Found other coverage: {name}; the bill goes on as {number}")
    rescrub(turn, new)
    turn.settle_claim(claim)
    return f"{number} to {payer}"


def _carry_unapplied(turn: Turn, claim: ClaimRecord, number: str) -> None:
    """What the patient has paid goes along with the bill."""
    waiting = -turn.book.balances(claim.number).get(ledger.UNAPPLIED, 0)
    if waiting > 0:
        turn.post(
            ledger.Journal(
                key=f"carried:{number}",
                posted_on=turn.today,
                because=f"{spoken(waiting)} of the patient's goes with the bill to {number}",
                claim=number,
                postings=(
                    ledger.Posting(account=ledger.UNAPPLIED, amount=waiting, claim=claim.number, party=claim.patient),
                    ledger.Posting(account=ledger.UNAPPLIED, amount=-waiting, claim=number, party=claim.patient),
                ),
            )
        )


def _note(turn: Turn, said: Said) -> str:
    """`claim`, `text`: a note for the next reader."""
    claim = _claim(turn, said)
    turn.tell(claim.number, "person", str(said.get("text", ""))[:1000])
    return f"noted on {claim.number}"


def _card_feedback(turn: Turn, said: Said) -> str:
    """`card`, `outcome`: what became of a CDS card. Kept and read by people; a bill changes when the chart does."""
    return f"card {str(said.get('card', ''))[:36]} {str(said.get('outcome', ''))[:20]}"


ACTS: dict[str, Callable[[Turn, Said], str]] = {
    "release": _release,
    "hold": _hold,
    "withdraw": _withdraw,
    "correct": _correct,
    "pay": _pay,
    "deposit": _deposit,
    "give-up": _give_up,
    "appeal": _appeal,
    "answer": _answer,
    "ask": ask.asked,
    "clinician-answer": ask.answered,
    "other-coverage": _other_coverage,
    "note": _note,
    "card-feedback": _card_feedback,
    "difference-close": reconcile.closed_by_a_person,
    "proposal-dismiss": late.dismissed,
    "proposal-accept": late.accepted,
    "proposal-done": late.done,
}
