"""What a payer allows is its fee schedule; what it pays is that, less what the plan leaves to the patient.

Deductible first, then copay, then coinsurance on what is left. All in whole cents, line by line, so that each line's
charge less its adjustments is what was paid for it. A payer that is asked second pays what the first left to the patient.
Spec: 005010X221A1 CAS: CO-45 above the schedule, CO-253 sequestration, PR-1, PR-2, PR-3, OA-23 what earlier payers did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_billing.domain.claim import Adjustment, Claim, Insurance, ServiceLine
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money, NotMoney, allocate, cents
from fhir_billing.domain.remittance import LinePayment
from fhir_billing.simulator.parameters import WHOLE, Parameters, half_up, share, times, wrong

ANY = "*"
ENTIRE = "claim"
"""Key of the schedule that prices a claim as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars a unit, or a share of the charge."""

    amount: Money = 0
    part: int | None = None

    def of(self, line: ServiceLine) -> Money:
        """What is allowed for a line, never more than its charge."""
        found = half_up(line.charge, self.part) if self.part is not None else times(self.amount, line.units)
        return min(found, line.charge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A payer's schedule and what its plan leaves to the patient."""

    allowed: Mapping[str, Price] = field(default_factory=lambda: {ANY: Price(part=8_000)})
    copay: Money = 0
    deductible: Money = 0
    coinsurance: int = 0
    sequestration: int = 0
    whole: bool = False
    """Decide the claim as a whole, without its lines."""

    def price(self, line: ServiceLine) -> Price:
        """By procedure, else revenue code, else the rest."""
        keys = (line.procedure, line.revenue_code, ANY)
        return next((self.allowed[key] for key in keys if key and key in self.allowed), Price(part=WHOLE))


def read_terms(parameters: Parameters) -> Callable[[Terms], Terms]:
    """Terms as a scenario writes them, to be laid over others: what is left out stays as it was."""
    schedule = parameters.below("allowed")
    prices: dict[str, Price] = {}
    for code in schedule.values:
        text = schedule.text(str(code))
        part = share(text)
        try:
            prices[str(code)] = Price(part=part) if part is not None else Price(amount=cents(text))
        except NotMoney as fault:
            raise wrong(
                schedule.place(str(code)), str(fault), "write dollars a unit, or a percentage of the charge"
            ) from fault
    changes: dict[str, Any] = {
        name: parameters.amount(name) for name in ("copay", "deductible") if parameters.has(name)
    }
    changes |= {name: parameters.part(name) for name in ("coinsurance", "sequestration") if parameters.has(name)}
    if parameters.has("whole"):
        changes["whole"] = parameters.flag("whole")
    return lambda base: replace(base, allowed={**base.allowed, **prices}, **changes)


@dataclass(slots=True)
class _Plan:
    """What of the copay and the deductible is still to be met."""

    terms: Terms
    copay: Money
    deductible: Money

    def share_out(self, charge: Money, allowed: Money) -> tuple[Money, tuple[Adjustment, ...]]:
        """(paid, why the rest is not) of one charge."""
        first = min(self.deductible, allowed)
        self.deductible -= first
        fixed = min(self.copay, allowed - first)
        self.copay -= fixed
        part = half_up(allowed - first - fixed, self.terms.coinsurance)
        paid = allowed - first - fixed - part
        held = half_up(paid, self.terms.sequestration)
        rows = [
            (Group.CO, "45", charge - allowed),
            (Group.CO, "253", held),
            (Group.PR, "1", first),
            (Group.PR, "2", part),
            (Group.PR, "3", fixed),
        ]
        return paid - held, tuple(Adjustment(group=g, reason=r, amount=a) for g, r, a in rows if a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A claim as decided: by line, or as a whole."""

    paid: Money
    lines: tuple[LinePayment, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()


def answered(
    line: ServiceLine, *, paid: Money, adjustments: tuple[Adjustment, ...], remarks: tuple[str, ...] = ()
) -> LinePayment:
    """A line as billed, with what was decided of it."""
    allowed = paid + sum(one.amount for one in adjustments if one.group is Group.PR or one.reason == "253")
    return LinePayment(
        procedure=line.procedure or line.revenue_code,
        modifiers=line.modifiers,
        revenue_code=line.revenue_code,
        charge=line.charge,
        paid=paid,
        units=line.units,
        control=str(line.number),
        served_on=line.served_from,
        adjustments=adjustments,
        remarks=remarks,
        allowed=allowed or None,
    )


def priced(claim: Claim, terms: Terms) -> Priced:
    """The fee schedule's arithmetic for a whole claim."""
    before = [one for one in claim.insurance[1:] if one.prior]
    if before:
        return _second(claim, before[-1])
    plan = _Plan(terms, terms.copay, terms.deductible)
    allowed = [terms.price(line).of(line) for line in claim.lines]
    if terms.whole:
        entire = terms.allowed.get(ENTIRE)
        total = min(entire.amount, claim.charge) if entire and entire.part is None else sum(allowed)
        paid, adjustments = plan.share_out(claim.charge, total)
        return Priced(paid=paid, adjustments=adjustments)
    lines = []
    for line, most in zip(claim.lines, allowed, strict=True):
        paid, adjustments = plan.share_out(line.charge, most)
        lines.append(answered(line, paid=paid, adjustments=adjustments))
    return Priced(paid=sum(line.paid for line in lines), lines=tuple(lines))


def _second(claim: Claim, earlier: Insurance) -> Priced:
    """What the earlier payer left to the patient is paid; all the rest was the earlier payer's doing."""
    left = {line.number: _left(earlier, line.number) for line in claim.lines}
    if not any(left.values()):
        rest = _left(earlier, 0) if earlier.remaining is None else earlier.remaining
        weights = [line.charge for line in claim.lines]
        if sum(weights) > 0:
            left = dict(zip(left, allocate(rest, weights), strict=True))
    lines = []
    for line in claim.lines:
        paid = max(0, min(left[line.number], line.charge))
        rest = line.charge - paid
        said = (Adjustment(group=Group.OA, reason="23", amount=rest),) if rest else ()
        lines.append(answered(line, paid=paid, adjustments=said))
    return Priced(paid=sum(line.paid for line in lines), lines=tuple(lines))


def _left(earlier: Insurance, line: int) -> Money:
    return sum(
        a.amount for prior in earlier.prior if prior.line == line for a in prior.adjustments if a.group is Group.PR
    )
