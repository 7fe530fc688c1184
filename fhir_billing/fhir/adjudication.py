"""How a decided claim reads in FHIR: each amount with its category, each reduction with its CARC.

Spec: ClaimResponse.item.adjudication, ExplanationOfBenefit.item.adjudication; category from
http://terminology.hl7.org/CodeSystem/adjudication.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.money import Money
from fhir_billing.fhir.ours import Resource, usd

CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/adjudication"
CARC: Final = "https://x12.org/codes/claim-adjustment-reason-codes"
GROUP: Final = "https://x12.org/codes/claim-adjustment-group-codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedLine:
    """One line as decided; `sequence` is the claim's own line number."""

    sequence: int
    charge: Money
    paid: Money
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the last remittance said of a claim, reversals netted."""

    charge: Money
    paid: Money
    patient: Money
    lines: tuple[DecidedLine, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    """Claim level only."""
    icn: str = ""
    on: str = ""
    """ISO date of the payment."""
    trace: str = ""


def amounts(charge: Money, paid: Money, adjustments: Iterable[Adjustment]) -> list[Resource]:
    """Submitted, each adjustment, paid."""
    rows = [{"category": _category("submitted"), "amount": usd(charge)}]
    rows += [
        {
            "category": {"coding": [{"system": CATEGORY, "code": _code(a)}], "text": a.group.value},
            "reason": {"coding": [{"system": CARC, "code": a.reason}], "text": f"{a.group.value}-{a.reason}"},
            "amount": usd(a.amount),
        }
        for a in adjustments
    ]
    return [*rows, {"category": _category("benefit"), "amount": usd(paid)}]


def _category(code: str) -> Resource:
    return {"coding": [{"system": CATEGORY, "code": code}]}


_SHARES = {"1": "deductible", "2": "copay", "3": "copay"}


def _code(adjustment: Adjustment) -> str:
    if adjustment.group.value == "PR":
        return _SHARES.get(adjustment.reason, "eligible")
    return "eligible"


def totals(decision: Decision) -> list[Resource]:
    """What the whole claim comes to."""
    return [
        {"category": _category("submitted"), "amount": usd(decision.charge)},
        {"category": _category("benefit"), "amount": usd(decision.paid)},
        {"category": {**_category("copay"), "text": "Patient's share"}, "amount": usd(decision.patient)},
    ]


def items(lines: Sequence[DecidedLine]) -> list[Resource]:
    """ClaimResponse.item of each line."""
    return [
        {"itemSequence": line.sequence, "adjudication": amounts(line.charge, line.paid, line.adjustments)}
        for line in lines
    ]
