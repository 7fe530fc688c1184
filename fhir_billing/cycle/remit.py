"""A remittance posts whole or not at all: three balances first, then one journal for each claim it decides.

The same remittance by another route, or with other line breaks, posts once. The same trace number with other content is
a doubt for a person. A take-back mirrors the first decision and opens a closed claim again.
Spec: 005010X221A1 §1.10.2; CLP02 22 (reversal), PLB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fhir_billing.cycle.records import ClaimRecord, Outcome, PaymentRecord, RemittanceRecord
from fhir_billing.cycle.remittance_text import dump_remittance
from fhir_billing.cycle.turn import Result, Turn
from fhir_billing.domain import ledger, posting
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.ledger import Journal, Posting
from fhir_billing.domain.lifecycle import Event, State
from fhir_billing.domain.money import Money, show, spoken
from fhir_billing.domain.remittance import ClaimPayment, Remittance, out_of_balance
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import loads

PREDETERMINED = "25"
"""CLP02 of an answer that says what would be paid: no money, no decision."""
NO_CLAIM = "0"
"""CLP01 of a claim for which the payer had no number of ours."""


def remitted(turn: Turn, remittances: Sequence[Remittance]) -> Result:
    """Post every remittance of a file, or quarantine the file whole."""
    if all(remittance.is_test for remittance in remittances):
        return Result(outcome=Outcome.TEST, say="A test file is never posted")
    findings = [finding for remittance in remittances for finding in _imbalances(remittance)]
    fresh: list[Remittance] = []
    for remittance in remittances:
        posted = turn.book.remittances(payer=remittance.payer_id, trace=remittance.trace)
        twins: list[RemittanceRecord | Remittance] = [r for r in posted if r.status == "posted"]
        twins += [r for r in fresh if (r.payer_id, r.trace) == (remittance.payer_id, remittance.trace)]
        if any(twin.digest == remittance.digest for twin in twins):
            continue
        if twins and (remittance.paid or any(twin.paid for twin in twins)):
            findings.append(_doubt(remittance, twins[0]))
        fresh.append(remittance)
    findings += [finding for remittance in fresh for finding in _unfounded(turn, remittance)]
    if findings:
        status = "quarantined" if any(f["key"] == "unbalanced" for f in findings) else "doubted"
        for remittance in fresh:
            _record(turn, remittance, status, str(findings[0]["say"]))
        return Result(outcome=Outcome.QUARANTINED, say=str(findings[0]["say"]), findings=tuple(findings))
    if not fresh:
        names = {p.claim: None for r in remittances for p in r.claims if _match(turn, p)}
        return Result(outcome=Outcome.DUPLICATE, say="This remittance is posted already", claims=tuple(names))
    matched, homeless = set[str](), 0
    for remittance in fresh:
        found = _post(turn, remittance)
        matched |= {name for name in found if name}
        homeless += found.count("")
    if homeless and not matched:
        return Result(
            outcome=Outcome.UNMATCHED, say=f"None of its {_count(homeless)} is known here; the money waits for a home"
        )
    home = f"; {_count(homeless)} not known here" if homeless else ""
    paid = spoken(sum(remittance.paid for remittance in fresh))
    return Result(outcome=Outcome.POSTED, say=f"{paid} for {_count(len(matched))}{home}")


def _count(claims: int) -> str:
    return f"{claims} claim" if claims == 1 else f"{claims} claims"


def _unfounded(turn: Turn, remittance: Remittance) -> list[dict[str, object]]:
    """A take-back of a decision that is not here is a doubt: posting it would make a debt from nothing."""
    here = [(p.claim, p.charge, p.paid) for p in remittance.claims if not p.is_reversal]
    found: list[dict[str, object]] = []
    for payment in remittance.claims:
        claim = _match(turn, payment) if payment.is_reversal else None
        if claim is None or (payment.claim, -payment.charge, -payment.paid) in here:
            continue
        if _reversed_journal(turn, claim, payment) is None:
            found.append(
                {
                    "key": "takes-back-nothing",
                    "severity": "blocking",
                    "say": f"Takes {spoken(-payment.paid)} of {spoken(-payment.charge)} back on {claim.number}, but no such decision stands",
                    "at": f"segment {payment.position} CLP",
                    "fix": "Find the first remittance, or ask the payer; nothing of this file is posted",
                    "fix_by": "biller",
                    "source": "835",
                    "resource": remittance.trace,
                }
            )
    return found


def _imbalances(remittance: Remittance) -> list[dict[str, object]]:
    return [
        {
            "key": "unbalanced",
            "severity": "blocking",
            "say": imbalance.say(),
            "at": f"segment {imbalance.position} {imbalance.segment}",
            "fix": "Ask the payer for a corrected file; nothing of this one is posted",
            "fix_by": "biller",
            "source": "835",
            "resource": remittance.trace,
        }
        for imbalance in out_of_balance(remittance)
    ]


def _doubt(remittance: Remittance, twin: RemittanceRecord | Remittance) -> dict[str, object]:
    name = twin.number if isinstance(twin, RemittanceRecord) else "another set of this file"
    return {
        "key": "same-trace-other-content",
        "severity": "blocking",
        "say": f"Trace {remittance.trace} came as {name} over {show(twin.paid)}; this one says {show(remittance.paid)}",
        "at": f"segment {remittance.position + 1} TRN02",
        "fix": "Compare the two, ask the payer which one holds; nothing of this file is posted",
        "fix_by": "biller",
        "source": "835",
        "resource": name,
    }


def _record(turn: Turn, remittance: Remittance, status: str, say: str = "") -> str:
    twins = turn.book.remittances(payer=remittance.payer_id, trace=remittance.trace)
    seen = next((t for t in twins if t.digest == remittance.digest and t.message == turn.message.id), None)
    number = seen.number if seen else turn.book.next_remittance_number()  # a retry is the same remittance again
    turn.book.save_remittance(
        RemittanceRecord(
            number=number,
            payer=remittance.payer_id,
            payer_name=remittance.payer_name,
            trace=remittance.trace,
            digest=remittance.digest,
            paid=remittance.paid,
            paid_on=remittance.paid_on,
            status=status,
            message=turn.message.id,
            at=turn.at,
            sha256=turn.message.sha256,
            say=say,
            content=dump_remittance(remittance),
        )
    )
    return number


def _post(turn: Turn, remittance: Remittance) -> list[str]:
    """Post one remittance; the claim number of each CLP, empty where it has no home here."""
    number = _record(turn, remittance, "posted")
    names = [""] * len(remittance.claims)
    for sequence in _in_turn(turn, remittance):
        payment = remittance.claims[sequence]
        claim = _match(turn, payment)
        if payment.status == PREDETERMINED and not payment.paid:
            if claim:
                names[sequence] = claim.number
                turn.tell(
                    claim.number, "file", f"{claim.payer_name} says what it would pay ({number}); nothing is decided"
                )
            continue
        journal = _decided(turn, remittance, sequence, claim) if claim else None
        if claim is None:
            turn.post(posting.money_without_home(remittance, sequence, on=turn.today))
        else:
            names[sequence] = claim.number
            _look_for_double(turn, claim, payment)
        turn.book.save_payment(_payment(number, sequence, remittance, payment, claim, journal))
        if claim is not None:
            _advance(turn, remittance, number, sequence, turn.book.claim(claim.number) or claim, journal)
    for sequence in range(len(remittance.provider_adjustments)):
        turn.post(posting.provider_adjusted(remittance, sequence, on=turn.today))
    return names


def _in_turn(turn: Turn, remittance: Remittance) -> list[int]:
    """The order of posting: a take-back of what stands in the book goes before the correction, wherever the file has it."""

    def first(sequence: int) -> bool:
        payment = remittance.claims[sequence]
        claim = _match(turn, payment) if payment.is_reversal else None
        return claim is not None and _reversed_journal(turn, claim, payment) is not None

    return sorted(range(len(remittance.claims)), key=lambda sequence: not first(sequence))


def _look_for_double(turn: Turn, claim: ClaimRecord, payment: ClaimPayment) -> None:
    """A second decision without a take-back is posted, for the money is real, and shown."""
    before = [row for row in turn.book.payments(claim.number) if row.matched]
    standing = sum(1 if row.status != "22" else -1 for row in before)
    if not payment.is_reversal and standing > 0:
        turn.tell(claim.number, "finding", "Decided a second time without a take-back: look for a double payment")


def _match(turn: Turn, payment: ClaimPayment) -> ClaimRecord | None:
    """CLP01 is our number. A number of ours with another person and another charge is somebody else's claim."""
    if payment.claim == NO_CLAIM:
        return None
    claim = turn.book.claim(payment.claim)
    if claim is None or not claim.attempt:
        return None
    family = payment.patient_family.upper()
    other_person = bool(family) and family not in claim.patient_name.upper()
    if other_person and abs(payment.charge) != claim.charge:
        return None
    return claim


def _payment(
    number: str,
    sequence: int,
    remittance: Remittance,
    payment: ClaimPayment,
    claim: ClaimRecord | None,
    journal: Journal | None,
) -> PaymentRecord:
    groups: dict[str, Money] = defaultdict(int)
    for adjustment in payment.all_adjustments():
        groups[adjustment.group.value] += adjustment.amount
    return PaymentRecord(
        remittance=number,
        sequence=sequence,
        claim=payment.claim,
        payer=claim.payer if claim else remittance.payer_id,
        status=payment.status,
        charge=payment.charge,
        paid=payment.paid,
        adjustments=dict(groups),
        icn=payment.icn,
        matched=claim is not None,
        journal=journal.key if journal else "",
    )


def _decided(turn: Turn, remittance: Remittance, sequence: int, claim: ClaimRecord) -> Journal | None:
    payment = remittance.claims[sequence]
    original = _reversed_journal(turn, claim, payment) if payment.is_reversal else None
    journal = posting.payment_decided(
        remittance,
        sequence,
        table=turn.site.carcs,
        claim=claim.number,
        payer=claim.payer,
        patient=claim.patient,
        on=turn.today,
        reverses=original.key if original else "",
    )
    if journal and original and _mirrors(original, payment):
        journal = _mirror(journal, original, remittance.trace)
    turn.post(journal)
    return journal


def _reversed_journal(turn: Turn, claim: ClaimRecord, payment: ClaimPayment) -> Journal | None:
    """The decision that a reversal takes back: the newest of this claim that is not taken back yet and paid the same."""
    journals = turn.book.journals(claim.number)
    gone = {journal.reverses for journal in journals if journal.reverses}
    keys = {
        row.journal
        for row in turn.book.payments(claim.number)
        if row.paid == -payment.paid and row.charge == -payment.charge
    }
    open_ones = [j for j in journals if j.key in keys and j.key not in gone and not j.reverses]
    return open_ones[-1] if open_ones else None


def _mirrors(original: Journal, payment: ClaimPayment) -> bool:
    paid = sum(p.amount for p in original.postings if p.account == ledger.CLEARING)
    asked = -sum(p.amount for p in original.postings if p.account == ledger.RECEIVABLE_PAYER)
    return paid == -payment.paid and asked == -payment.charge


def _mirror(journal: Journal, original: Journal, trace: str) -> Journal:
    """The first decision with every amount turned round: senders that write CR instead of the first group codes post right too."""
    return Journal(
        key=journal.key,
        posted_on=journal.posted_on,
        effective_on=journal.effective_on,
        because=journal.because,
        claim=journal.claim,
        reverses=original.key,
        postings=tuple(
            Posting(
                account=p.account,
                amount=-p.amount,
                claim=p.claim,
                party=trace if p.account == ledger.CLEARING else p.party,
            )
            for p in original.postings
        ),
    )


def _advance(
    turn: Turn, remittance: Remittance, number: str, sequence: int, claim: ClaimRecord, journal: Journal | None
) -> None:
    payment = remittance.claims[sequence]
    decided = posting.decide(payment, turn.site.carcs)
    _ask_the_next_payer(turn, claim, f"{posting.remittance_key(remittance)}:{sequence}:next")
    turn.settle_patient(claim.number, claim.patient, f"{posting.remittance_key(remittance)}:{sequence}:applied")
    icn = {"icn": payment.icn} if payment.icn else {}
    money = f"{spoken(payment.paid)} of {spoken(payment.charge)}"
    if payment.is_reversal:
        turn.move(claim, Event.REVERSE, f"{claim.payer_name} took its decision back ({number}, {money})", **icn)
        return
    if decided.is_denial:
        codes = ", ".join(
            dict.fromkeys(f"{a.group}-{a.reason}" for a in payment.all_adjustments() if _disputed(turn, payment, a))
        )
        say = f"{claim.payer_name} denied {spoken(decided.disputed)} ({codes}; {number})"
        moved = turn.move(
            claim, Event.ADJUDICATE_DENY, say, findings=_denial(payment, decided.disputed, codes, number), **icn
        )
    else:
        moved = turn.move(
            claim, Event.ADJUDICATE_PAY, f"{claim.payer_name} paid {money} ({number})", findings=(), **icn
        )
    for unknown in decided.unknown:
        turn.tell(
            claim.number, "finding", f"{unknown.group}-{unknown.reason} is not in carc-to-account; it stays in dispute"
        )
    if moved.state is State.PAID:
        turn.settle_claim(moved)


def _ask_the_next_payer(turn: Turn, claim: ClaimRecord, key: str) -> None:
    """A patient is not billed while another plan may still pay: the share waits under that plan's name."""
    others = read_claim(loads(claim.resource)).insurance[1:]
    if not others:
        return
    balances = turn.book.balances(claim.number)
    payer = others[0].payer.id
    waits = sum(
        p.amount
        for journal in turn.book.journals(claim.number)
        for p in journal.postings
        if p.account == ledger.RECEIVABLE_PAYER and p.party == payer and p.claim == claim.number
    )
    change = max(0, balances.get(ledger.RECEIVABLE_PATIENT, 0) + waits) - waits
    if change:
        turn.post(
            posting.asked_of_next_payer(
                key=key, claim=claim.number, patient=claim.patient, payer=payer, amount=change, on=turn.today
            )
        )


def _disputed(turn: Turn, payment: ClaimPayment, adjustment: Adjustment) -> bool:
    table = turn.site.carcs
    if any(a is adjustment for a in payment.adjustments):
        return table.bucket(adjustment, payment, None) is posting.Bucket.DISPUTED
    for position, line in enumerate(payment.lines):
        if any(a is adjustment for a in line.adjustments):
            return table.bucket(adjustment, payment, position) is posting.Bucket.DISPUTED
    return False


def _denial(payment: ClaimPayment, disputed: Money, codes: str, number: str) -> tuple[dict[str, object], ...]:
    return (
        {
            "key": "denied",
            "severity": "blocking",
            "say": f"The payer denied {spoken(disputed)}: {codes}",
            "at": f"{number} claim {payment.claim}",
            "fix": "Appeal inside the window, ask another plan that covered the day, or give it up with a reason",
            "fix_by": "biller",
            "source": "835",
            "resource": "",
        },
    )
