"""A clearinghouse and the payers behind it answer a bill: a pure function of its bytes, a scenario, the time and a memory.

Every file is answered or refused with its place; every claim of it gets what the scenario's first fitting rule says.
The same interchange again is no new bill. A replacement reverses what it replaces; a void reverses and ends there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from fhir_billing.domain.acknowledgment import SetAcknowledgment, SyntaxFault
from fhir_billing.domain.claim import Frequency
from fhir_billing.domain.money import show
from fhir_billing.simulator import acknowledge, behaviours, remit
from fhir_billing.simulator.acknowledge import Outcome
from fhir_billing.simulator.desk import Answer, Desk
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.scenario import Rule, Scenario
from fhir_billing.simulator.state import SimState
from fhir_billing.simulator.verdict import Case, Payment, Verdict, known, mirrored
from fhir_billing.x12.check import check
from fhir_billing.x12.envelope import OpenedInterchange, TransactionSet, read
from fhir_billing.x12.grammar import Complaint, Weight
from fhir_billing.x12.read_837 import GUIDES, Submission, SubmittedClaim, decode

_ANSWERS = frozenset({"999", "997", "TA1", "277", "835", "824"})
"""Sets that are answers themselves: nobody acknowledges an acknowledgment."""
_DUPLICATE = Rule(
    number=0,
    name="denied as a duplicate",
    decide=behaviours.prepared("denies-all", Parameters("duplicate", {"reason": "OA-18"}), "duplicate"),
)
_REPLACES_NOTHING = Rule(
    number=0,
    name="replaces nothing we know",
    decide=behaviours.prepared(
        "rejects-277ca", Parameters("replacement", {"code": "A7:464", "by": "payer"}), "replacement"
    ),
)


def answer(data: bytes, scenario: Scenario, at: datetime, state: SimState) -> tuple[list[Answer], SimState]:
    """What comes back for one file, the earliest first, and what is remembered of it."""
    desk = Desk.opened(scenario, at, state)
    reading = read(data)
    found: list[Answer] = []
    if not reading.interchanges:
        found.append(acknowledge.turned_away(desk, None, reading.findings[0]))
    errors = [one for one in reading.findings if one.severity is Weight.ERROR]
    if scenario.strict and not errors:
        errors = [one for one in check(reading) if one.severity is Weight.ERROR]
    for interchange in reading.interchanges:
        mine = [one for one in errors if _inside(one, interchange)]
        found.extend(_interchange(desk, interchange, mine, sound=reading.is_sound))
    return sorted(found, key=lambda one: one.after), desk.closed()


def reasons(answers: Sequence[Answer]) -> list[str]:
    """Each reason once, in its order."""
    return list(dict.fromkeys(line for one in answers for line in one.why.splitlines()))


def _inside(complaint: Complaint, interchange: OpenedInterchange) -> bool:
    first = interchange.text.first
    return first <= complaint.segment < first + len(interchange.text.segments)


def _interchange(desk: Desk, interchange: OpenedInterchange, errors: list[Complaint], *, sound: bool) -> list[Answer]:
    isa = interchange.text.segments[0]
    key = f"{isa[32:50].strip()} {isa[51:69].strip()} {interchange.control}"
    digest = sha256("\n".join(interchange.text.segments).encode()).hexdigest()
    before = desk.seen.get(key)
    if before == digest:
        return []
    if before is not None:
        again = interchange.text.complain(
            0, "this number came before, with other content", fix="number it anew", element=13
        )
        return [acknowledge.turned_away(desk, interchange, again, "025")]
    desk.seen[key] = digest
    sets = [one for group in interchange.groups for one in group.sets]
    outside = [one for one in errors if not any(_within(one, each) for each in sets)]
    if not sound and outside:
        return [acknowledge.turned_away(desk, interchange, outside[0])]
    acknowledged: list[SetAcknowledgment] = []
    outcomes: list[Outcome] = []
    why: list[str] = []
    for one in sets:
        if one.set_id in _ANSWERS:
            continue
        mine = [complaint for complaint in errors if _within(complaint, one)]
        said, found, reasons = _set(desk, one, mine)
        acknowledged.append(said)
        why.extend(reasons)
        outcomes.extend(found)
    return _answers(desk, interchange, acknowledged, outcomes, why)


def _within(complaint: Complaint, one: TransactionSet) -> bool:
    index = complaint.segment - one.interchange.first
    return one.first <= index <= one.last


def _answers(
    desk: Desk,
    interchange: OpenedInterchange,
    acknowledged: list[SetAcknowledgment],
    outcomes: list[Outcome],
    why: list[str],
) -> list[Answer]:
    if outcomes and all(one.verdict.unheard for one in outcomes) and all(one.code == "A" for one in acknowledged):
        return []
    found = list(acknowledge.of_sets(desk, interchange, acknowledged, "\n".join(why)))
    by_set: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_set.setdefault(f"{outcome.submission.group_control} {outcome.submission.set_control}", []).append(outcome)
    for mine in by_set.values():
        found.extend(acknowledge.of_claims(desk, mine))
    remit.standing(desk, outcomes)
    found.extend(remit.of_payments(desk, outcomes))
    return found


def _set(
    desk: Desk, one: TransactionSet, errors: list[Complaint]
) -> tuple[SetAcknowledgment, list[Outcome], list[str]]:
    """(what its 999 says, what becomes of its claims, why). A rejected set has no claims: nobody read them."""
    if one.kind not in GUIDES:
        refused = (SyntaxFault(code="1"),)
        return _acknowledged(one, refused), [], [f"set {one.control}: {one.kind} is not answered here"]
    submission, complaints = decode(one)
    errors = [*errors, *(c for c in complaints if c.severity is Weight.ERROR)]
    for submitted in submission.claims:
        desk.attempts[submitted.claim.id] = desk.attempts.get(submitted.claim.id, 0) + 1
    if errors:
        why = [f"set {one.control} is rejected: {complaint}" for complaint in errors[:5]]
        return _acknowledged(one, acknowledge.faults_of(one, errors)), [], why
    outcomes = [_claim(desk, submission, submitted) for submitted in submission.claims]
    why = [outcome.why for outcome in outcomes]
    faults = next((outcome.verdict.faults for outcome in outcomes if outcome.verdict.faults), ())
    if faults:
        return _acknowledged(one, acknowledge.placed(one, faults)), [], why
    return _acknowledged(one, ()), outcomes, why


def _acknowledged(one: TransactionSet, faults: tuple[SyntaxFault, ...]) -> SetAcknowledgment:
    return SetAcknowledgment(
        group_control=one.group.control,
        set_control=one.control,
        kind=one.set_id,
        code="R" if faults else "A",
        faults=faults,
    )


def _claim(desk: Desk, submission: Submission, submitted: SubmittedClaim) -> Outcome:
    claim = submitted.claim
    attempt = desk.attempts[claim.id]
    rule = desk.scenario.rule(claim, attempt)
    replaced = desk.by_icn(claim.payer_icn) if claim.frequency is not Frequency.ORIGINAL else ""
    earlier = desk.standing[replaced].payments if replaced else ()
    if claim.frequency is not Frequency.ORIGINAL and not replaced:
        rule = _REPLACES_NOTHING
    elif claim.frequency is Frequency.ORIGINAL and claim.id in desk.standing and not rule.by_attempt:
        rule = _DUPLICATE
    case = Case(
        claim=claim,
        charge=submitted.charge,
        attempt=attempt,
        icn=desk.icn(),
        second_icn=desk.icn(),
        at=desk.at,
        delays=desk.scenario.delays,
        terms=desk.scenario.terms_of(claim.payer.id),
        earlier=earlier,
    )
    verdict = _voided(case) if earlier and claim.frequency is Frequency.VOID else _replacing(case, rule.decide(case))
    name = f"rule {rule.number} {rule.name}" if rule.number else rule.name
    return Outcome(submission=submission, submitted=submitted, case=case, verdict=verdict, rule=name)


def _voided(case: Case) -> Verdict:
    """Frequency 8: the decision is taken back, and nothing follows."""
    back = tuple(Payment(after=case.delays.decided, payment=mirrored(one)) for one in case.earlier)
    paid = show(sum(one.paid for one in case.earlier))
    return Verdict(why=f"voids {case.earlier[0].claim}: {paid} is taken back", statuses=known(case), payments=back)


def _replacing(case: Case, verdict: Verdict) -> Verdict:
    """Frequency 7: what held is taken back in the same remittance, before the new decision."""
    if not case.earlier or not verdict.payments:
        return verdict
    first = verdict.payments[0]
    back = tuple(
        Payment(after=first.after, payment=mirrored(one), lane=first.lane, manner=first.manner) for one in case.earlier
    )
    return replace(verdict, why=f"replaces {case.earlier[0].claim}; {verdict.why}", payments=(*back, *verdict.payments))
