"""A payer pays many claims with one check, takes back in the next one what it should not have paid, and explains each cent.

What a check cannot take back, for it would be below zero, is forwarded to the next one. It pays by check, for an
electronic payment must name bank accounts, and those nobody should make up.
Spec: 005010X221A1: BPR02 = ΣCLP04 − ΣPLB; PLB FB moves a balance, L6 is interest; CLP02 22 mirrors the first decision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from fhir_billing.domain.claim import Party
from fhir_billing.domain.remittance import ClaimPayment, ProviderAdjustment, Remittance
from fhir_billing.simulator.acknowledge import Outcome, back_to, signed
from fhir_billing.simulator.desk import Answer, Desk, file_name
from fhir_billing.simulator.state import DueBack
from fhir_billing.simulator.verdict import Payment, Spoil, TakeBack
from fhir_billing.x12 import write_835


@dataclass(slots=True)
class _Check:
    """What one 835 explains."""

    outcome: Outcome
    after: timedelta
    rows: list[tuple[Outcome, Payment]] = field(default_factory=list)
    taken: list[tuple[Outcome, TakeBack]] = field(default_factory=list)


def payee(party: Party) -> str:
    """Who is paid, as one word."""
    return party.npi or party.tax_id or party.name or party.family


def of_payments(desk: Desk, outcomes: Sequence[Outcome]) -> Iterator[Answer]:
    """Every 835 that these outcomes lead to, the earliest first."""
    checks: dict[tuple[str, str, timedelta, str], _Check] = {}
    for outcome, payment in _rows(outcomes):
        claim = outcome.case.claim
        key = (claim.payer.id, payee(claim.billing), payment.after, payment.lane)
        checks.setdefault(key, _Check(outcome, payment.after)).rows.append((outcome, payment))
    for outcome in outcomes:
        back = outcome.verdict.take_back
        if back is None:
            continue
        claim = outcome.case.claim
        if back.same_file:
            key = (claim.payer.id, payee(claim.billing), back.after, _lane(outcome))
            checks.setdefault(key, _Check(outcome, back.after)).taken.append((outcome, back))
        else:
            desk.due_back.append(
                DueBack(
                    payer=claim.payer.id,
                    payee=payee(claim.billing),
                    due=desk.at + back.after,
                    reversal=back.reversal,
                    corrected=back.corrected,
                )
            )
    for _, check in sorted(checks.items(), key=lambda item: (item[1].after, bool(item[1].taken))):
        yield from _written(desk, check)


def _lane(outcome: Outcome) -> str:
    return f"taken back {outcome.case.claim.id}"


def _rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, Payment]]:
    """Each payment. A take-back in the same file is told beside the file's last claims that pay for it."""
    moved: dict[int, tuple[str, timedelta]] = {}
    for outcome in outcomes:
        back = outcome.verdict.take_back
        if back is not None and back.same_file:
            lacking = -back.reversal.paid
            for other in reversed(outcomes):
                if lacking > 0 and id(other) not in moved and _may_pay_for(other, outcome):
                    moved[id(other)] = (_lane(outcome), back.after)
                    lacking -= other.verdict.payments[0].payment.paid
    for outcome in outcomes:
        for payment in outcome.verdict.payments:
            lane, after = moved.get(id(outcome), (payment.lane, payment.after))
            yield outcome, replace(payment, lane=lane, after=after)


def _may_pay_for(other: Outcome, outcome: Outcome) -> bool:
    """Paid once and plainly, by the same payer to the same payee."""
    if other is outcome or other.verdict.take_back is not None or len(other.verdict.payments) != 1:
        return False
    (one,) = other.verdict.payments
    return not one.lane and one.payment.paid > 0 and _same_hands(other, outcome)


def _same_hands(one: Outcome, other: Outcome) -> bool:
    mine, theirs = one.case.claim, other.case.claim
    return mine.payer.id == theirs.payer.id and payee(mine.billing) == payee(theirs.billing)


def _written(desk: Desk, check: _Check) -> Iterator[Answer]:
    claim = check.outcome.case.claim
    submission = check.outcome.submission
    face = desk.scenario.face(claim.payer.id, claim.payer.name)
    manner = (
        check.rows[0][1].manner if check.rows else Payment(after=check.after, payment=check.taken[0][1].reversal).manner
    )
    plain = not (manner.twice or manner.spoil)
    decided = [payment.payment for _, payment in check.rows]
    why = [outcome.why for outcome, _ in check.rows]
    backs = [(back.reversal, back.corrected) for _, back in check.taken]
    if plain:
        backs += [(due.reversal, due.corrected) for due in _fall_due(desk, check)]
    for reversal, corrected in backs:
        decided += [reversal, corrected]
        desk.stands(corrected.claim, (corrected,))
        why.append(f"{reversal.claim}: the payment is taken back")
    remittance = _balanced(desk, check, decided, carry=plain)
    remittance = replace(
        remittance,
        payer_id=face.number,
        payer_name=face.name,
        trace=desk.trace(face.id),
        payee_name=_name(claim.billing),
    )
    controls = desk.controls()
    body = write_835.write(
        [_spoilt(remittance, manner.spoil, manner.by)],
        sender=signed(face),
        receiver=back_to(submission),
        controls=controls,
        at=desk.at + check.after,
        payer_address=face.address,
        test=submission.is_test,
    )
    name = partial(file_name, face.id, "835", controls)
    yield from _handed_over(name, body, check.after, "\n".join(why), twice=manner.twice)


def _handed_over(name: Callable[..., str], body: bytes, after: timedelta, why: str, *, twice: bool) -> Iterator[Answer]:
    """One file; or the same under two names, and once more with other line breaks."""
    yield Answer(name=name(), body=body, after=after, why=why)
    if twice:
        yield Answer(name=name("-again"), body=body, after=after, why=f"the same bytes again\n{why}")
        broken = body.replace(b"\n", b"\r\n")
        yield Answer(name=name("-other-line-breaks"), body=broken, after=after, why=f"other line breaks\n{why}")


def _fall_due(desk: Desk, check: _Check) -> list[DueBack]:
    claim = check.outcome.case.claim
    mine = [
        due
        for due in desk.due_back
        if due.payer == claim.payer.id and due.payee == payee(claim.billing) and due.due <= desk.at + check.after
    ]
    desk.due_back = [due for due in desk.due_back if due not in mine]
    return mine


def _balanced(desk: Desk, check: _Check, decided: Sequence[ClaimPayment], *, carry: bool) -> Remittance:
    """The check is what the claims pay, less what is taken back; below zero it waits for the next one."""
    claim = check.outcome.case.claim
    key = f"{claim.payer.id} {payee(claim.billing)}"
    provider = claim.billing.npi or payee(claim.billing)
    rows = [
        ProviderAdjustment(reason="L6", reference=one.payment.claim, amount=-one.interest, provider=provider)
        for _, one in check.rows
        if one.interest
    ]
    owed = desk.forwarded.pop(key, 0) if carry else 0
    if owed:
        rows.append(ProviderAdjustment(reason="FB", reference="FORWARDED", amount=owed, provider=provider))
    paid = sum(one.paid for one in decided) - sum(row.amount for row in rows)
    if paid < 0:
        rows.append(ProviderAdjustment(reason="FB", reference="FORWARDED", amount=paid, provider=provider))
        desk.forwarded[key] = desk.forwarded.get(key, 0) - paid
        paid = 0
    return Remittance(
        payer_id="",
        payer_name="",
        trace="",
        paid=paid,
        handling="I" if paid else "H",
        method="CHK" if paid else "NON",
        paid_on=(desk.at + check.after).date(),
        payee_npi=claim.billing.npi,
        claims=tuple(decided),
        provider_adjustments=tuple(rows),
    )


def _name(party: Party) -> str:
    return party.name or f"{party.family} {party.given}".strip()


def _spoilt(remittance: Remittance, where: Spoil | None, by: int) -> Remittance:
    """One sum of it made wrong, and only one."""
    if where is None:
        return remittance
    wrong = replace(remittance, paid=remittance.paid + by)
    if where is Spoil.FILE or not wrong.claims:
        return wrong
    first = replace(wrong.claims[0], paid=wrong.claims[0].paid + by)
    return replace(wrong, claims=(first, *wrong.claims[1:]))


def standing(desk: Desk, outcomes: Sequence[Outcome]) -> None:
    """Note which decisions hold after these: a reversal ends what held before."""
    live: dict[str, list[ClaimPayment]] = defaultdict(list)
    for outcome in outcomes:
        for one in outcome.verdict.payments:
            if one.payment.is_reversal:
                live[one.payment.claim] = []
            else:
                live[one.payment.claim].append(one.payment)
    for claim, payments in live.items():
        desk.stands(claim, tuple(payments))
